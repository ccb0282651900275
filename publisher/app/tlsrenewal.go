package app

import (
	"time"

	"zamqp/publisher/certificate"
)

const (
	renewInterval = time.Second
	// expirySoon is how long before its end a certificate that is still good causes a
	// warning.
	expirySoon = 7 * 24 * time.Hour
)

// renew checks the files of the certificates until the loop ends. It is a goroutine, because
// a file system may be slow.
func (d *tlsDoor) renew() {
	warned := time.Now()
	everyInterval(d.ended, func(now time.Time) {
		switch changed, err := d.store.Refresh(); {
		case err != nil:
			d.log.Error().Str("listener", d.name).Err(err).Msg("the changed certificate cannot be used: the old one stays")
		case changed:
			d.log.Info().Str("listener", d.name).Msg("the certificates were read again")
			d.warnOfExpiry(now)
			warned = now
		case now.Sub(warned) > 24*time.Hour:
			d.warnOfExpiry(now)
			warned = now
		}
	})
}

// everyInterval calls check in intervals until ended is closed.
func everyInterval(ended <-chan struct{}, check func(now time.Time)) {
	tick := time.NewTicker(renewInterval)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			check(now)
		}
	}
}

// warnOfExpiry logs a warning for certificates that clients refuse, or will refuse soon.
func (d *tlsDoor) warnOfExpiry(now time.Time) {
	pairs := d.store.Pairs()
	for i, c := range d.store.Certificates() {
		entry := d.log.Warn().Str("listener", d.name).Str("file", pairs[i].Cert).Strs("names", certificate.Names(c))
		left := certificate.Left(c, now)
		switch text := certificate.Expired(c, now); {
		case text != "":
			entry.Msg("a certificate " + text)
		case c.Leaf != nil && left < expirySoon && left < c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/3:
			entry.Dur("left", left.Round(time.Minute)).Msg("a certificate expires soon: renew it")
		}
	}
}

package app

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"zamqp/publisher/dedupe"
)

// openDedupe opens the files with the ids that consumers have handled.
func (a *application) openDedupe() error {
	for _, name := range slices.Sorted(maps.Keys(a.plan.Consumers)) {
		d := a.plan.Consumers[name].Dedupe
		if d.Key == "" || d.Database != "" {
			continue
		}
		dir := filepath.Join(a.plan.Settings.Server.DataDir, "dedupe", url.PathEscape(name))
		log := a.log.With().Str("consumer", name).Str("dir", dir).Logger()
		store, report, err := dedupe.Open(dedupe.Options{
			Dir: dir, Keep: d.Keep, Max: d.Max, Now: a.loop.Now, Offload: a.loop.OffloadDisk,
			After: func(wait time.Duration, fn func()) { a.loop.After(wait, fn) },
			Failed: func(err error) {
				log.Error().Err(err).Msg("the disk has failed: ids of handled messages are not remembered any more, and the consumer is paused")
				_ = a.server.Pause(name) // the error says that nothing is consumed, which is fine
			},
			Troubled: func(err error) {
				if err != nil {
					log.Warn().Err(err).Msg("the disk takes no ids of handled messages now: these messages are not acked until it does")
				} else {
					log.Info().Msg("the disk takes ids of handled messages again")
				}
			},
		})
		if err != nil {
			return directoryError("consumer."+name+".dedupe", err, "another zamqp runs with this server.data_dir")
		}
		for _, damage := range report.Damage {
			log.Error().Stringer("damage", damage).Msg("the ids of handled messages are damaged: messages whose ids are lost may be handled again")
		}
		log.Info().Int("ids", store.Len()).Dur("keep", d.Keep).Msg("ids of handled messages are remembered")
		a.amqp.Dedupe(name, store)
	}
	return nil
}

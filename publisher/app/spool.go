package app

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"zamqp/amqpproto/journal"
	"zamqp/publisher/config"
	"zamqp/publisher/spool"
)

// spoolReserve is the size of the file that keeps room on a full disk: recording a sent
// message needs space, too.
const spoolReserve = 2 << 20

// spoolName is the name of the connection of a spool's directory.
func spoolName(dir string) string {
	name := filepath.Base(dir)
	if name, err := url.PathUnescape(name); err == nil {
		return name
	}
	return name
}

// openSpools opens the spools of the connections in use, and gives them to amqpdoor.
func (a *application) openSpools() error {
	used := map[string]bool{}
	parents := map[string]bool{}
	for _, name := range a.plan.Connections {
		c := a.plan.Settings.Connections[name]
		if c.Spool != config.SpoolFile {
			continue
		}
		dir := c.SpoolPath(name)
		used[dir], parents[c.SpoolDir] = true, true
		log := a.log.With().Str("connection", name).Str("dir", dir).Logger()
		store, report, err := spool.Open(spool.Options{
			Dir: dir, Max: int64(c.SpoolMax), Offload: a.loop.OffloadDisk,
			Failed: func(err error) { log.Error().Err(err).Msg("the spool takes nothing more until the next start") },
			After:  func(wait time.Duration, fn func()) { a.loop.After(wait, fn) }, Reserve: spoolReserve,
			Troubled: func(err error) {
				if err != nil {
					log.Warn().Err(err).Msg("the spool's disk takes nothing now: publishes that need it are refused, and it is tried again")
				} else {
					log.Info().Msg("the spool's disk takes what is written again")
				}
			},
		})
		if err != nil {
			return directoryError("connection."+name+".spool_dir", err, "another zamqp runs with it")
		}
		for _, r := range []journal.Report{report.Queue, report.Rejections} {
			for _, d := range r.Damage {
				log.Error().Stringer("damage", d).Msg("the spool is damaged: what is whole will be sent")
			}
			if r.Torn > 0 {
				log.Info().Int64("octets", r.Torn).Msg("the end of the spool was cut off: it was not completely written, and no call was told that it was")
			}
		}
		if report.Messages > 0 || report.Rejected > 0 {
			log.Info().Int("messages", report.Messages).Int("aside", report.Rejected).Int64("octets", report.Bytes).Msg("the spool has messages of an earlier process")
		}
		a.amqp.Spool(name, store)
	}
	for dir := range parents {
		a.orphans(dir, used)
	}
	return nil
}

// orphans warns about spools that no connection uses any more.
func (a *application) orphans(parent string, used map[string]bool) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // it is there already, if that was possible
	}
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		if e.IsDir() && !used[dir] && spool.Exists(dir) {
			a.log.Warn().Str("dir", dir).Str("connection", spoolName(dir)).
				Msg("messages of a connection that is not configured, or whose spool is off, may be left in this spool: see zamqp spool list")
		}
	}
}

// directoryError adds the remedy to an error of opening a journal in a directory that a setting
// names. other says what locks it.
func directoryError(key string, err error, other string) error {
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("%s: %w: %s; each needs a directory of its own", key, err, other)
	}
	return fmt.Errorf("%s: %w", key, err)
}

package app

import (
	"zamqp/publisher/inhand"
)

// openInHand opens the file of the messages that are being handled. If that fails, the server
// starts all the same, but will not know which message has ended a process.
func (a *application) openInHand() {
	dir := a.plan.Settings.Server.DataDir
	if dir == "" || len(a.plan.Consumers) == 0 {
		return
	}
	log := a.log.With().Str("data_dir", dir).Logger()
	j, err := inhand.Open(inhand.Options{
		Dir: dir, Now: a.loop.Now,
		Report: func(path string, err error) {
			log.Warn().Err(err).Str("path", path).Msg("an in-hand file cannot be used and is left alone")
		},
		Failed: func(err error) {
			log.Error().Err(err).Msg("messages in hand are no longer recorded: after a crash, messages may be quarantined wrongly or not at all")
		},
	})
	if err != nil {
		log.Warn().Err(err).Msg("server.data_dir cannot be used: after a crash nothing shows which messages were being handled")
		return
	}
	if n := j.Left(); n > 0 {
		log.Warn().Int("messages", n).Msg("messages were being handled when a process ended: each will be handled alone when it comes again")
	}
	a.amqp.InHand(j)
}

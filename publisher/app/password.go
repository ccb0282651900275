package app

import (
	"time"

	"zamqp/publisher/config"
)

// passwordEvery is how often a password_file is read.
const passwordEvery = 2 * time.Second

// watchPassword reads the password_file again and again, on a goroutine because the file may
// be on a network. When it has changed, the client tells the broker, so tokens that expire
// can be renewed.
func (k *link) watchPassword() {
	file := k.Settings.PasswordFile
	if file == "" {
		return
	}
	last, failed := k.Settings.URI.Password, false
	var look func()
	look = func() {
		go func() {
			password, err := config.ReadPassword(file)
			k.Loop.Post(func() {
				switch {
				case err != nil && !failed:
					failed = true
					k.app.log.Warn().Str("connection", k.Name).Err(err).Msg("password_file: the password stays as it was")
				case err == nil && password != last:
					last, failed = password, false
					k.app.log.Info().Str("connection", k.Name).Msg("password_file has changed")
					k.Client.UpdateSecret(password)
				case err == nil:
					failed = false
				}
				k.Loop.After(passwordEvery, look)
			})
		}()
	}
	k.Loop.After(passwordEvery, look)
}

package app

import "zamqp/publisher"

// elect gives each clock that ticks in only one process the election that decides in which.
func (a *application) elect() error {
	return a.clocks.Elect(func(clock, connection string) (publisher.Election, error) {
		return a.amqp.Election(connection, clock, publisher.ClockQueue(clock, a.plan.Settings.Site.ID))
	})
}

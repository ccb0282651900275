package app

import "zamqp/publisher"

// elect joins the clocks that tick in one process only with the brokers that decide in which.
func (a *application) elect() error {
	return a.clocks.Elect(func(clock, connection string) (publisher.Election, error) {
		return a.amqp.Election(connection, clock, publisher.ClockQueue(clock, a.plan.Settings.Site.ID))
	})
}

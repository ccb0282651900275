// Package sqlite_test runs handlers whose database transaction takes part in the call's
// transaction, with a real SQL driver: SQLite, which has one lock for all writers, so
// that nothing hides a deadlock. It is a module of its own, because the server does not
// need the driver.
package sqlite_test

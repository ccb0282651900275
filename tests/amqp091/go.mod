module zamqp/tests/amqp091

go 1.26.0

require (
	github.com/rabbitmq/amqp091-go v1.16.0
	go.uber.org/goleak v1.3.0
	zamqp v0.0.0
)

require github.com/streadway/amqp v1.1.0 // indirect

replace zamqp => ../..

package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The names of the semantic conventions that the spans use. No other file has any.
const (
	schemaURL = semconv.SchemaURL

	errorType = semconv.ErrorTypeKey

	// HTTP, for both sides.
	httpMethod         = semconv.HTTPRequestMethodKey
	httpMethodOriginal = semconv.HTTPRequestMethodOriginalKey
	httpRoute          = semconv.HTTPRouteKey
	httpStatus         = semconv.HTTPResponseStatusCodeKey
	httpResendCount    = semconv.HTTPRequestResendCountKey
	urlPath            = semconv.URLPathKey
	urlScheme          = semconv.URLSchemeKey
	urlFull            = semconv.URLFullKey
	serverAddress      = semconv.ServerAddressKey
	serverPort         = semconv.ServerPortKey
	clientAddress      = semconv.ClientAddressKey
	userAgent          = semconv.UserAgentOriginalKey

	// Messaging.
	messagingSystem         = semconv.MessagingSystemKey
	messagingOperationName  = semconv.MessagingOperationNameKey
	messagingOperationType  = semconv.MessagingOperationTypeKey
	messagingDestination    = semconv.MessagingDestinationNameKey
	messagingMessageID      = semconv.MessagingMessageIDKey
	messagingConversationID = semconv.MessagingMessageConversationIDKey
	messagingBodySize       = semconv.MessagingMessageBodySizeKey
	messagingRoutingKey     = semconv.MessagingRabbitMQDestinationRoutingKeyKey
	messagingDeliveryTag    = semconv.MessagingRabbitMQMessageDeliveryTagKey

	// What the conventions have no name for.
	zamqpConsumer   = attribute.Key("zamqp.consumer")
	zamqpClock      = attribute.Key("zamqp.clock")
	zamqpScheduled  = attribute.Key("zamqp.clock.scheduled") // RFC 3339
	zamqpAttempt    = attribute.Key("zamqp.attempt")         // 1 for the first
	zamqpSettlement = attribute.Key("zamqp.settlement")      // ack, retry, dead letter
	zamqpReason     = attribute.Key("zamqp.dead_letter.reason")

	conflictEvent = "zamqp.conflict" // the call runs again

	otherMethod    = "_OTHER" // http.request.method of an unknown one
	otherError     = "_OTHER" // error.type of an error without a name
	rabbitmq       = "rabbitmq"
	defaultName    = "amq.default" // messaging.destination.name of the default exchange
	operationSend  = "send"
	operationCall  = "call"
	operationReply = "reply"
	process        = "process"
)

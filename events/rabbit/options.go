package rabbit

// What the client's calls take as booleans by position, each with the value that is right everywhere here.
const (
	// Of exchanges and queues.
	durable    = true  // they survive a restart of the broker
	autoDelete = false // they survive the end of their last consumer
	internal   = false // clients may publish to the exchange
	exclusive  = false // neither a queue nor a consumer of it shuts out others
	noWait     = false // the broker confirms each call, or says why not
	ifUnused   = false // delete a queue or an exchange that is in use, too
	ifEmpty    = false // delete a queue that holds messages, too

	// Of publishing.
	mandatory = true  // what no queue takes is returned
	immediate = false // not supported by RabbitMQ

	// Of consuming.
	autoAck   = false // a message is the broker's until we have stored it
	noLocal   = false // not supported by RabbitMQ
	globalQos = false // the prefetch is that of each consumer
	upToThis  = true  // an acknowledgement is for all messages up to its own
	requeue   = false // a rejected message goes to the dead-letter queue
	anySize   = 0     // the prefetch counts messages, not bytes
)

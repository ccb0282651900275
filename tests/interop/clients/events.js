// Prints the events of a stream, one line each, and reconnects as a browser does.
const { EventSource } = require('eventsource')
const source = new EventSource(process.argv[2])
source.addEventListener('open', () => console.log('open'))
source.addEventListener('headline', e => console.log('headline ' + JSON.stringify(e.data)))

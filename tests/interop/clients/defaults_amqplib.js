// Publish with amqplib as its users do.
//
// usage: node defaults_amqplib.js HOST:PORT QUEUE
const amqplib = require("amqplib");

async function main(address, queue) {
  const connection = await amqplib.connect(`amqp://guest:guest@${address}`);
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(queue, Buffer.from(JSON.stringify({ from: "amqplib", text: "Grüße" })));
  await channel.waitForConfirms();
  await connection.close();
  console.log("amqplib");
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(`amqplib: ${error.stack}`);
  process.exit(1);
});

<?php
// Publish with php-amqplib as its users do.
//
// usage: php defaults_amqplib.php HOST:PORT QUEUE
require '/usr/share/php/PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;

[$host, $port] = explode(':', $argv[1]);
$connection = new AMQPStreamConnection($host, $port, 'guest', 'guest');
$channel = $connection->channel();
$channel->basic_publish(new AMQPMessage('{"from": "php-amqplib", "text": "Grüße"}'), '', $argv[2]);
$channel->close();
$connection->close();
echo "php-amqplib\n";

# Publish with bunny as its users do.
#
# usage: ruby defaults_bunny.rb HOST:PORT QUEUE
require "bunny"

host, port = ARGV[0].split(":")
connection = Bunny.new(host: host, port: port.to_i)
connection.start
channel = connection.create_channel
channel.confirm_select
channel.default_exchange.publish('{"from": "bunny", "text": "Grüße"}', routing_key: ARGV[1])
channel.wait_for_confirms
connection.close
puts "bunny"

# redis-rb: pipelines, transactions, scripts, scanning, streams, messages, and what an administrator asks.
require "redis"

def check(what, is_so)
  abort "not so: #{what}" unless is_so
end

redis = Redis.new(url: ENV.fetch("REDIS_URL"), id: "ruby")
redis.flushall
replies = redis.pipelined { |pipeline| 100.times { |i| pipeline.set("k#{i}", i, ex: 100) } }
check "pipeline", replies == ["OK"] * 100
check "scan", redis.scan_each(match: "k*").to_a.uniq.length == 100

threads = 3.times.map do
  Thread.new do
    own = Redis.new(url: ENV.fetch("REDIS_URL"))
    50.times do
      loop do
        done = own.watch("n") do
          number = own.get("n").to_i
          own.multi { |transaction| transaction.set("n", number + 1) }
        end
        break if done
      end
    end
    own.close
  end
end
threads.each(&:join)
check "transactions", redis.get("n") == "150"

check "script", redis.eval("return {KEYS[1], ARGV[1]}", keys: ["a"], argv: ["b"]) == %w[a b]
digest = redis.script(:load, "return redis.call('incr', KEYS[1])")
check "evalsha", redis.evalsha(digest, keys: ["counter"]) == 1
redis.xadd("stream", { "a" => "b" })
redis.xgroup(:create, "stream", "group", "0")
check "streams", redis.xreadgroup("group", "me", "stream", ">")["stream"].first.last == { "a" => "b" }
redis.zadd("zset", [[1, "a"], [2.5, "b"]])
check "zset", redis.zrange("zset", 0, -1, with_scores: true) == [["a", 1.0], ["b", 2.5]]
redis.mapped_hmset("hash", { "a" => "1", "b" => "2" })
check "hash", redis.hgetall("hash") == { "a" => "1", "b" => "2" }
redis.geoadd("geo", 13.361389, 38.115556, "Palermo")
check "geo", redis.georadius("geo", 13.4, 38.1, 100, "km") == ["Palermo"]

heard = []
listener = Thread.new do
  Redis.new(url: ENV.fetch("REDIS_URL")).subscribe("channel") do |on|
    on.subscribe { |*| redis.publish("channel", "hello") }
    on.message do |channel, message|
      heard << [channel, message]
      Thread.current.kill
    end
  end
end
listener.join(10)
check "messages", heard == [%w[channel hello]]
begin
  redis.lpush("n", 1)
  check "error", false
rescue Redis::CommandError => e
  check "error", e.message.start_with?("WRONGTYPE")
end
check "blocking", redis.blpop("empty", timeout: 1).nil?
check "clients", redis.client(:list).any? { |client| client["name"] == "ruby" }
check "config", redis.config(:get, "maxmemory*").key?("maxmemory-policy")
check "info", redis.info["redis_version"] && redis.info(:commandstats).key?("get")
check "slow log", redis.slowlog(:len).is_a?(Integer)
puts "pipelines, 150 transactions, scripts, scanning, streams, sorted sets, messages, CLIENT LIST, INFO"

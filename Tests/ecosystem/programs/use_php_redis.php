<?php
// php-redis: pipelines, transactions, scripts, scanning, streams, serialisation, and what an administrator asks.
function check(string $what, bool $isSo): void
{
    if (!$isSo) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
}

function connect(): Redis
{
    $redis = new Redis();
    $redis->connect("127.0.0.1", (int) getenv("REDIS_PORT"), 5);
    return $redis;
}

$redis = connect();
$redis->flushAll();
$pipeline = $redis->pipeline();
for ($i = 0; $i < 100; $i++) {
    $pipeline->setex("k$i", 100, $i);
}
check("pipeline", $pipeline->exec() === array_fill(0, 100, true));
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = [];
$cursor = null;
while ($keys = $redis->scan($cursor, "k*")) {
    $found = array_merge($found, $keys);
}
check("scan", count(array_unique($found)) === 100);

$other = connect();
$redis->watch("n");
$other->set("n", 1);
check("transaction that was overtaken", $redis->multi()->set("n", 2)->exec() === false);
check("transaction", $redis->multi()->incr("n")->get("n")->exec() === [2, "2"]);
check("script", $redis->eval("return {KEYS[1], ARGV[1], 3}", ["a", "b"], 1) === ["a", "b", 3]);
$digest = $redis->script("load", "return redis.call('incr', KEYS[1])");
check("evalsha", $redis->evalSha($digest, ["counter"], 1) === 1);
check("error", $redis->eval("return redis.call('nope')") === false && strpos($redis->getLastError(), "ERR") === 0);
$redis->xAdd("stream", "*", ["a" => "b"]);
$redis->xGroup("CREATE", "stream", "group", "0");
check("streams", array_values($redis->xReadGroup("group", "me", ["stream" => ">"])["stream"]) === [["a" => "b"]]);
$redis->zAdd("zset", 1, "a", 2.5, "b");
check("zset", $redis->zRange("zset", 0, -1, true) === ["a" => 1.0, "b" => 2.5]);
$redis->hMSet("hash", ["a" => "1", "b" => "2"]);
check("hash", $redis->hGetAll("hash") === ["a" => "1", "b" => "2"]);
$redis->geoAdd("geo", 13.361389, 38.115556, "Palermo");
check("geo", $redis->geoRadius("geo", 13.4, 38.1, 100, "km") === ["Palermo"]);
$redis->setOption(Redis::OPT_SERIALIZER, (string) Redis::SERIALIZER_PHP);
$redis->set("object", ["x" => [1, 2.5, null]]);
check("serialisation", $redis->get("object") === ["x" => [1, 2.5, null]]);
$redis->setOption(Redis::OPT_SERIALIZER, (string) Redis::SERIALIZER_NONE);
check("blocking", $redis->blPop(["empty"], 1) === []);
$redis->client("setname", "php");
check("clients", in_array("php", array_column($redis->client("list"), "name"), true));
check("config", isset($redis->config("GET", "maxmemory*")["maxmemory-policy"]));
check("info", isset($redis->info()["redis_version"]) && is_int($redis->slowLog("len")));
echo "pipelines, transactions, scripts, scanning, streams, sorted sets, serialisation, CLIENT LIST, INFO\n";

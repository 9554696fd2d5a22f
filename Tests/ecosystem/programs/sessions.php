<?php
// php-redis: sessions with locking, held by one request at a time; and what else the extension does by itself.
// `php sessions.php` runs this; as `php sessions.php request ID COUNT` it is a request.
$port = getenv("REDIS_PORT");
foreach ([
    "session.save_handler" => "redis",
    "session.save_path" => "tcp://127.0.0.1:$port?timeout=5",
    "redis.session.locking_enabled" => "1",
    "redis.session.lock_retries" => "2000",
    "redis.session.lock_wait_time" => "5000",
    "redis.session.lock_expire" => "20",
    "session.use_cookies" => "0",
    "session.use_only_cookies" => "0",
    "session.cache_limiter" => "",
] as $name => $value) {
    ini_set($name, $value);
}

if (($argv[1] ?? "") === "request") {
    for ($i = 0; $i < (int) $argv[3]; $i++) {
        session_id($argv[2]);
        if (!session_start()) {
            exit(1);
        }
        $_SESSION["count"] = ($_SESSION["count"] ?? 0) + 1;
        usleep(500);
        session_write_close();
    }
    exit(0);
}

$requests = [];
for ($i = 0; $i < 4; $i++) {
    $requests[] = proc_open([PHP_BINARY, __FILE__, "request", "shared", "25"], [], $pipes);
}
foreach ($requests as $request) {
    if (proc_close($request) !== 0) {
        exit("a request got no lock\n");
    }
}
session_id("shared");
session_start();
if ($_SESSION["count"] !== 100) {
    echo "{$_SESSION['count']} of 100 requests were counted\n";
    exit(1);
}
session_destroy();

$redis = new Redis();
$redis->connect("127.0.0.1", (int) $port);
if ($redis->exists("PHPREDIS_SESSION:shared")) {
    echo "a session was not destroyed\n";
    exit(1);
}
$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
$redis->set("a", ["b" => [1, null]], ["nx", "ex" => 100]);
$done = $redis->multi(Redis::PIPELINE)->hMSet("h", ["x" => 1, "y" => 2])->hGetAll("h")->zAdd("z", 1.5, "m")->exec();
$script = $redis->eval("return {KEYS[1], ARGV[1]}", ["k", "v"], 1);
if ($redis->get("a") !== ["b" => [1, null]] || $done[1] !== ["x" => 1, "y" => 2] || $script[1] !== serialize("v") && $script[1] !== "v") {
    var_dump($redis->get("a"), $done, $script);
    exit(1);
}
echo "100 requests of 4 processes held a session's lock one at a time\n";

<?php
// php-redis over TLS, with a client's certificate.
$context = [
    "cafile" => getenv("TLS_CA"),
    "local_cert" => getenv("TLS_CERT"),
    "local_pk" => getenv("TLS_KEY"),
    "peer_name" => "localhost",
];
$redis = new Redis();
$redis->connect("tls://127.0.0.1", (int) getenv("TLS_PORT"), 10, null, 0, 10, ["stream" => $context]);
$large = random_bytes(3000000);
if (!$redis->ping() || !$redis->set("k", $large) || $redis->get("k") !== $large) {
    exit(1);
}
$pipeline = $redis->multi(Redis::PIPELINE);
for ($i = 0; $i < 5000; $i++) {
    $pipeline->incr("n");
}
if (last($pipeline->exec()) !== 5000) {
    exit(2);
}
function last($values) { return end($values); }
// Without the certificate nobody gets in.
unset($context["local_cert"], $context["local_pk"]);
try {
    $stranger = new Redis();
    $stranger->connect("tls://127.0.0.1", (int) getenv("TLS_PORT"), 10, null, 0, 10, ["stream" => $context]);
    $stranger->ping();
    exit(3);
} catch (RedisException $refused) {
}
echo "php-redis over TLS with a client's certificate\n";

"""What happens to a chain in a round of chaos. Each blow gets the game and the number of a link, and says which links need
not be resumed partially after it."""

import contextlib
import time

from proxy import TO_MASTER, TO_REPLICA
from resp import bulks
from waiting import wait_until

MARKS = 300


def below(game, link):
    """The links from this one down."""
    return range(link, len(game.proxies))


def moment(game, most=0.3):
    time.sleep(game.rng.uniform(0, most))


# Faults of the link alone: nothing is to be sent whole.


def cut(game, link):
    game.proxies[link].cut(abruptly=game.rng.random() < 0.5)


def cut_at_byte(game, link):
    count = game.rng.choice([1, 2, game.rng.randrange(1, 300), game.rng.randrange(1, 50_000)])
    direction = game.rng.choice([TO_REPLICA, TO_REPLICA, TO_MASTER])
    game.proxies[link].cut_after(min(count, 60) if direction == TO_MASTER else count, direction)
    moment(game)


def cut_again_and_again(game, link):
    """Also while it connects."""
    for _ in range(4):
        game.proxies[link].cut()
        moment(game, 0.05)
        game.proxies[link].cut_after(game.rng.randrange(1, 200))
        moment(game, 0.1)


def delay(game, link):
    proxy = game.proxies[link]
    proxy.delay(game.rng.uniform(0.001, 0.05))
    moment(game, 0.5)
    proxy.heal()


def trickle(game, link):
    proxy = game.proxies[link]
    proxy.limit(game.rng.choice([2000, 50_000]))
    moment(game, 0.5)
    proxy.heal()


def half_open(game, link):
    proxy = game.proxies[link]
    proxy.hold(*game.rng.choice([(), (TO_MASTER,), (TO_REPLICA,)]))
    moment(game, 0.5)
    if game.rng.random() < 0.5:
        proxy.heal()
    else:
        proxy.cut()


def unreachable(game, link):
    game.proxies[link].refuse()
    moment(game, 0.5)
    game.proxies[link].heal()


def stop_replica(game, link):
    stop(game, link + 1)


def stop_master(game, link):
    stop(game, link)


def stop(game, number):
    node = game.nodes[number]
    node.pause()
    moment(game, 0.5)
    node.resume()


# Servers that end. A master's backlog ends with it; a replica comes back with its place in the stream where that is stored.


def after_restart(game, number):
    """Links that are spoilt by a new life of a node: those to its own replicas, and to its master without a place."""
    spoilt = set(below(game, number))
    return spoilt if number == 0 or game.is_durable(number) else spoilt | {number - 1}


def kill(game, number):
    node = game.nodes[number]
    node.kill()
    moment(game, 0.2)
    node.start()
    return after_restart(game, number)


def kill_replica(game, link):
    return kill(game, link + 1)


def kill_master(game, link):
    return kill(game, link) | set(below(game, link))


def kill_both(game, link):
    return kill_master(game, link) | kill_replica(game, link) | set(below(game, link))


def kill_twice(game, link):
    """Again as soon as it lives."""
    node = game.nodes[link + 1]
    node.kill()
    node.launch()
    moment(game, 0.2)
    node.kill()
    node.start()
    return after_restart(game, link + 1)


def end_replica(game, link):
    game.nodes[link + 1].restart()
    return after_restart(game, link + 1)


def end_master(game, link):
    game.nodes[link].restart()
    return set(below(game, link)) | after_restart(game, link)


# Histories that part, and full syncs that fail.


def new_history(game, link):
    """A full sync that nobody expected."""
    game.nodes[link].call("DEBUG", "CHANGE-REPL-ID")
    game.proxies[link].cut()
    moment(game)
    return below(game, max(link - 1, 0))


def own_way(game, link):
    """A replica becomes a master, is written to, and comes back."""
    node = game.nodes[link + 1]
    node.lead()
    moment(game, 0.1)
    for n in range(game.rng.choice([0, 1, 20])):
        node.call("SET", f"own way:{n}", n)
    node.follow(game.proxies[link].port)
    return below(game, link)


def whole_again(game, link):
    """Makes a full sync begin, by which a test has the replica follow an empty place first."""
    node, proxy = game.nodes[link + 1], game.proxies[link]
    before = proxy.passed()
    node.lead()
    node.call("SET", "own way", 1)
    node.follow(proxy.port)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: proxy.passed() > before + game.rng.randrange(200, 4000), 2)
    return below(game, link)


def cut_full_sync(game, link):
    proxy = game.proxies[link]
    proxy.cut_after(game.rng.randrange(1, 60_000))
    return whole_again(game, link)


def stall_full_sync(game, link):
    proxy = game.proxies[link]
    proxy.limit(game.rng.choice([20_000, 200_000]))
    spoilt = whole_again(game, link)
    proxy.hold()
    moment(game, 0.5)
    proxy.cut()
    proxy.heal()
    return spoilt


def kill_in_full_sync(game, link):
    """Of either side."""
    spoilt = set(whole_again(game, link))
    moment(game, 0.1)
    return spoilt | kill(game, link + game.rng.randrange(2))


def trap(game, link):
    """A replica with a history of its own is killed while a full sync is loaded, or before its first checkpoint after it. It
    must come back with its old state whole or with the new one whole, while no master can be asked."""
    node, proxy, master = game.nodes[link + 1], game.proxies[link], game.nodes[0]
    master.call("MSET", *(word for n in range(MARKS) for word in (f"theirs:{n}", n)))
    proxy.refuse()
    node.lead()
    node.ok("FLUSHALL")
    node.ok("MSET", *(word for n in range(MARKS) for word in (f"own:{n}", n)))
    keeps = node.options["appendonly"] == "yes"
    if node.options["save"] and node.call("SAVE") == b"+OK\r\n":
        keeps = True
    before = proxy.passed()
    proxy.heal()
    node.follow(proxy.port)
    if game.rng.random() < 0.6:
        with contextlib.suppress(AssertionError):
            wait_until(node.is_linked, 3)
        moment(game, 0.05)
    else:
        wanted = game.rng.randrange(1, 50_000)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: proxy.passed() > before + wanted, 1)
    node.kill()
    proxy.refuse()
    node.start()
    check_whole(game, node, keeps)
    proxy.heal()
    return below(game, link)


def check_whole(game, node, keeps):
    own = len(bulks(node.ok("KEYS", "own:*")))
    theirs = len(bulks(node.ok("KEYS", "theirs:*")))
    sizes = [field for field in node.info("keyspace") if field.startswith("db")]
    said = f"{own} keys of its own, {theirs} of the master's, {sizes}"
    game.done[-1] += f": {said}"
    if own:
        assert (own, theirs, sizes) == (MARKS, 0, ["db0"]), said
    elif theirs == 0:
        # The master may have been emptied by what is random.
        assert not keeps or not sizes or node.call("EXISTS", "theirs:0") == b":0\r\n", said


LINKS = [cut, cut_at_byte, cut_again_and_again, delay, trickle, half_open, unreachable, stop_replica, stop_master]
LIVES = [kill_replica, kill_master, kill_both, kill_twice, end_replica, end_master]
HISTORIES = [new_history, own_way, cut_full_sync, stall_full_sync, kill_in_full_sync, trap, trap]


def draw(rng):
    return rng.choice(rng.choice([LINKS, LIVES, HISTORIES]))

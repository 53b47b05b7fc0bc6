"""Load and faults against `mii serve` on 127.0.0.1, bounded in count and time, with figures as it goes.
usage: soak.py MII [--long] [--model FOLDER] [--only PART]...; the parts are the functions below."""
import argparse
import asyncio
import base64
import json
import os
import pathlib
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from service import DATA, Service, memory_kb, service, wait_until

PICTURE = (DATA / "rgb.png").read_bytes()


def request(path, body=b"", kind="application/json", method="POST"):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode() + body)


def encode_request(images=1):
    return request("/encode", json.dumps({"images": [base64.b64encode(PICTURE).decode()] * images}).encode())


async def exchange(reader, writer, data):
    """Status and seconds of one request on an open connection."""
    start = time.monotonic()
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12]), time.monotonic() - start


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


async def run_load(port, connections, seconds, data, stop_early=None):
    """(status counts, seconds of each request, images' rate) of clients that each ask again when answered."""
    end = time.monotonic() + seconds
    counts, times = {}, []

    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while time.monotonic() < end and not (stop_early and stop_early()):
                status, took = await exchange(reader, writer, data)
                counts[status] = counts.get(status, 0) + 1
                times.append(took)
                if status == 429:
                    await asyncio.sleep(0.5)
        finally:
            writer.close()

    start = time.monotonic()
    await asyncio.gather(*(client() for _ in range(connections)))
    return counts, times, counts.get(200, 0) / (time.monotonic() - start)


async def watch_health(port, times, done):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not done.is_set():
        status, took = await exchange(reader, writer, request("/health", method="GET"))
        times.append((status, took))
        await asyncio.sleep(0.01)
    writer.close()


def check(condition, message):
    print(("ok    " if condition else "WRONG ") + message, flush=True)
    if not condition:
        check.failures += 1


check.failures = 0


def load(args):
    """1, 8, 64, 512 connections: nothing but 200 and 429; /health stays quick while the engine is busy."""
    with service(args.mii, *args.flags, "--queue", "256") as running:
        for connections in (1, 8, 64, 512):
            health, done = [], asyncio.Event()

            async def both():
                watcher = asyncio.create_task(watch_health(running.port, health, done))
                result = await run_load(running.port, connections, args.seconds, encode_request())
                done.set()
                await watcher
                return result

            counts, times, rate = asyncio.run(both())
            p99 = percentile([took for _, took in health], 0.99) * 1000
            check(set(counts) <= {200, 429} and counts.get(200, 0) > 0 and all(status == 200 for status, _ in health),
                  f"{connections:4} connections: {counts}, {rate:.1f} images/s, median {percentile(times, .5) * 1000:.1f} ms, "
                  f"p99 {percentile(times, .99) * 1000:.1f} ms; /health p99 {p99:.1f} ms of {len(health)}")
            check(p99 < args.health_ms, f"     /health p99 under {args.health_ms} ms")


def memory(args):
    """Resident memory over many requests, the first thousand against the last."""
    count = 10_000 if args.long else 1_500
    with service(args.mii, *args.flags) as running:
        pid, done, samples = running.process.pid, [0], []

        async def client(reader, writer):
            while done[0] < count:
                done[0] += 1
                await exchange(reader, writer, encode_request())
                if done[0] % 100 == 0:
                    samples.append((done[0], memory_kb(pid) / 1024))

        async def all_clients():
            links = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(8)]
            await asyncio.gather(*(client(*link) for link in links))
            for _, writer in links:
                writer.close()

        asyncio.run(all_clients())
        part = count // 10
        first = [mb for n, mb in samples if n <= part]
        last = [mb for n, mb in samples if n > count - part]
        check(max(last) < max(first) * 1.1 + 8,
              f"memory over {count} requests: first {part} {min(first):.1f}-{max(first):.1f} MB, "
              f"last {part} {min(last):.1f}-{max(last):.1f} MB")


def decode_seconds(port):
    """Of one picture, while nothing else runs."""
    def total():
        text = quick(port, "/metrics").decode()
        return [float(text.split(f"\nmii_preprocess_seconds_{name} ")[1].split("\n")[0]) for name in ("sum", "count")]
    before = total()
    asyncio.run(run_load(port, 1, 1, encode_request()))
    after = total()
    return (after[0] - before[0]) / (after[1] - before[1])


def throughput(args):
    """Pictures a second through HTTP against `mii bench`'s batch rate plus decoding on all cores, by turns."""
    rates, ideals, benches = [], [], []
    for _ in range(3):
        bench = subprocess.run([args.mii, "bench", "--json", "--repeats", "3", "--batch", str(args.batch), *args.flags],
                               capture_output=True, text=True, env={**os.environ, "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"})
        benches.append(json.loads(bench.stdout)["figures"][f"batch {args.batch} images/s, 1/s"])
        with service(args.mii, *args.flags) as running:
            decode = decode_seconds(running.port)
            ideals.append(1 / (1 / benches[-1] + decode / len(os.sched_getaffinity(0))))
            data = encode_request(args.batch * 2)
            _, _, rate = asyncio.run(run_load(running.port, 3, args.seconds, data))
            rates.append(rate * args.batch * 2)
    share = percentile(rates, .5) / percentile(ideals, .5)
    check(share > args.share,
          f"throughput: {percentile(rates, .5):.1f} images/s by HTTP; mii bench {percentile(benches, .5):.1f}, with "
          f"decoding {percentile(ideals, .5):.1f}: {100 * share:.0f} % (medians of 3, by turns)")


def stop_under_load(args):
    """SIGTERM in the middle: every request that was sent on an accepted connection is answered."""
    for turn in range(5 if args.long else 2):
        with service(args.mii, *args.flags) as running:
            lost, answered = [0], [0]

            async def client():
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                try:
                    while True:
                        writer.write(encode_request())
                        try:
                            head = await reader.readuntil(b"\r\n\r\n")
                            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                            await reader.readexactly(length)
                        except (asyncio.IncompleteReadError, ConnectionError):
                            lost[0] += 1
                            return
                        answered[0] += 1
                        if b"connection: close" in head.lower():
                            return
                finally:
                    writer.close()

            async def clients():
                tasks = [asyncio.create_task(client()) for _ in range(32)]
                await asyncio.sleep(1)
                running.process.send_signal(signal.SIGTERM)
                await asyncio.gather(*tasks)

            asyncio.run(clients())
            status = running.process.wait(60)
            running.reader.join()
            check(status == 0 and lost[0] == 0, f"SIGTERM under load: {answered[0]} answered, {lost[0]} lost, exit {status}")


def kill_and_restart(args):
    """kill -9 in the middle of requests; the next process is ready in seconds."""
    with service(args.mii, *args.flags) as running:
        threading.Thread(target=lambda: asyncio.run(run_quietly(running.port)), daemon=True).start()
        time.sleep(0.5)
        running.process.kill()
        running.process.wait()
    start = time.monotonic()
    with service(args.mii, *args.flags, port=running.port) as again:
        check(again.get("/readyz") == '{"status":"ready"}' and time.monotonic() - start < 10,
              f"after kill -9: ready again on the same port in {time.monotonic() - start:.2f} s")


async def run_quietly(port):
    try:
        await run_load(port, 8, 5, encode_request())
    except (asyncio.IncompleteReadError, ConnectionError):
        pass


def slow_clients(args):
    """A thousand connections that say nothing or half a head, and one that sends a byte a second."""
    count = 1000 if args.long else 300
    with service(args.mii, *args.flags, "--header-timeout", "3", "--idle-timeout", "5") as running:
        sockets = []
        for i in range(count):
            link = socket.create_connection(("127.0.0.1", running.port))
            if i % 2:
                link.sendall(b"POST /encode HTTP/1.1\r\nHost:")
            sockets.append(link)
        drip = socket.create_connection(("127.0.0.1", running.port))
        cut_after = None
        start = time.monotonic()
        for byte in b"GET /health HTTP/1.1\r\n":
            try:
                drip.sendall(bytes([byte]))
            except OSError:
                cut_after = time.monotonic() - start
                break
            answer_start = time.monotonic()
            if running.get("/health") != '{"status":"healthy"}' or time.monotonic() - answer_start > 1:
                check(False, "/health beside half-open connections")
            time.sleep(1)
        check(cut_after is not None and cut_after < 10, f"a byte a second: cut off after {cut_after and round(cut_after, 1)} s")
        open_now = lambda: float(running.get("/metrics").split("\nmii_connections ")[1].split("\n")[0])
        check(wait_until(lambda: open_now() < 5, 10), f"{count} half-open connections were closed by the service")
        for link in sockets:
            link.close()


def png(width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def damaged_pictures(args):
    """1x1, 30 000 x 30 000, and every test picture cut and changed at random: an answer each, 200 or 400."""
    randomness = random.Random(1)
    cases = [png(1, 1, zlib.compress(b"\0\0")), png(30000, 30000, zlib.compress(bytes(30001 * 200))),
             b"", b"\0", b"P5 30000 30000 255\n", b"P5 1 1 255\nx"]
    folder = pathlib.Path(DATA).parent
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size < 1_000_000):
        data = path.read_bytes()
        for _ in range(8 if args.long else 1):
            cut = data[:randomness.randrange(len(data))] if data else b""
            changed = bytearray(data)
            for _ in range(randomness.randrange(1, 20)):
                if changed:
                    changed[randomness.randrange(len(changed))] = randomness.randrange(256)
            cases += [cut, bytes(changed)]
    counts = {}
    with service(args.mii, *args.flags) as running:
        async def send_all():
            for data in cases:
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                status, _ = await exchange(reader, writer, request("/encode", data, "application/octet-stream"))
                counts[status] = counts.get(status, 0) + 1
                writer.close()
        asyncio.run(send_all())
        # An empty body is no picture but a missing one: 422.
        check(set(counts) <= {200, 400, 422}, f"{len(cases)} damaged pictures: {counts}")
        check(running.get("/health") == '{"status":"healthy"}', "/health after them")


def mutate(data, randomness):
    """Bytes changed, cut out, repeated or moved."""
    data = bytearray(data)
    for _ in range(randomness.randrange(1, 12)):
        at, size = randomness.randrange(len(data) + 1), randomness.randrange(1, 40)
        kind = randomness.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = randomness.randrange(256)
        elif kind == 1:
            del data[at:at + size]
        elif kind == 2:
            data[at:at] = data[at:at + size] * randomness.randrange(1, 50)
        else:
            data[at:at] = randomness.choice([b"[", b"{", b'"', b"\\u", b"1e999", b"null,", b"--b", b"\r\n", b"\0"])
    return bytes(data)


def hostile_bodies(count):
    """(path, type, body) of requests that were right once."""
    image = base64.b64encode(PICTURE).decode()
    predict = {"images": [image], "labels": ["X-Ray", "CT"], "multilabel": False}
    score = {"input_data": {"columns": ["image", "text"], "index": [0], "data": [[image, "X-Ray"]]}, "params": {}}
    form = (b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n' + PICTURE +
            b'\r\n--b\r\nContent-Disposition: form-data; name="labels"\r\n\r\nCT\r\n--b--\r\n')
    right = [("/predict", "application/json", json.dumps(predict).encode()),
             ("/encode", "application/json", json.dumps({"images": [image], "texts": ["CT"]}).encode()),
             ("/v1/embeddings", "application/json", b'{"model": "medimageinsight", "input": ["CT", "MRI"]}'),
             ("/score", "application/json", json.dumps(score).encode()),
             ("/predict", "multipart/form-data; boundary=b", form),
             ("/encode", "application/octet-stream", PICTURE)]
    randomness = random.Random(2)
    for i in range(count):
        path, kind, body = right[i % len(right)]
        yield path, kind, mutate(body, randomness)


def mutated_bodies(args):
    """Bodies changed at random on eight connections; a good request is answered within its deadline throughout."""
    bodies = list(hostile_bodies(4000 if args.long else 240))
    counts, good, done = {}, [], asyncio.Event()

    async def hostile(port):
        while bodies:
            path, kind, body = bodies.pop()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status, _ = await exchange(reader, writer, request(path, body, kind))
            counts[status] = counts.get(status, 0) + 1
            writer.close()

    async def ask(port):
        question = json.dumps({"images": [base64.b64encode(PICTURE).decode()], "labels": ["X-Ray", "CT"]}).encode()
        data = request("/predict", question).replace(b"\r\n\r\n", b"\r\nX-Request-Timeout: 5\r\n\r\n", 1)
        while not done.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            good.append(await exchange(reader, writer, data))
            writer.close()
            await asyncio.sleep(0.05)

    async def all_of_them(port):
        asking = asyncio.create_task(ask(port))
        await asyncio.gather(*(hostile(port) for _ in range(8)))
        done.set()
        await asking

    with service(args.mii, *args.flags) as running:
        asyncio.run(all_of_them(running.port))
        check(set(counts) <= {200, 400, 404, 413, 422, 429}, f"{sum(counts.values())} changed bodies: {counts}")
        check(all(status == 200 for status, _ in good), f"{len(good)} good requests among them, all answered with 200")
        slowest = max(seconds for _, seconds in good)
        check(slowest < 5, f"     the slowest after {slowest * 1000:.0f} ms")
        check(running.get("/health") == '{"status":"healthy"}', "/health after them")


def full_disk(args):
    """A log on a full disk costs lines, not requests."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True)
        log = pathlib.Path(folder) / "log" if mounted.returncode == 0 else pathlib.Path("/dev/full")
        process = subprocess.Popen([args.mii, "serve", "--port", "0", "--log", log, *args.flags])
        try:
            port = wait_for_port(process.pid)
            wait_until(lambda: b" 200 " in quick(port, "/readyz"), 30)
            answers = [quick(port, "/health") for _ in range(1000)]
            check(all(b" 200 " in answer for answer in answers), f"1000 requests with a full disk under the log ({log})")
            dropped = quick(port, "/metrics").split(b"\nmii_log_lines_dropped_total ")[1].split(b"\n")[0]
            check(float(dropped) > 0, f"     {float(dropped):.0f} lines were dropped and counted")
        finally:
            process.terminate()
            process.wait(60)
            if mounted.returncode == 0:
                subprocess.run(["umount", folder])


def quick(port, path):
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := link.recv(65536):
            answer += piece
        return answer


def wait_for_port(pid):
    """The port on which a process listens, from /proc."""
    def find():
        inodes = set()
        for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        for line in open("/proc/net/tcp"):
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A" and fields[9] in inodes:
                return int(fields[1].split(":")[1], 16)
        return None
    found = []
    wait_until(lambda: (port := find()) and not found.append(port), 30)
    return found[0]


PARTS = {part.__name__: part for part in (load, memory, throughput, stop_under_load, kill_and_restart, slow_clients,
                                          damaged_pictures, mutated_bodies, full_disk)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mii")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--model", help="model folder [the built-in one]")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seconds", type=float, help="of each load")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--share", type=float, default=0.8, help="of mii bench's rate that is asked for")
    parser.add_argument("--health-ms", type=float, default=50)
    parser.add_argument("--only", action="append", choices=PARTS)
    args = parser.parse_args()
    args.mii = str(pathlib.Path(args.mii).resolve())
    args.seconds = args.seconds or (20 if args.long else 2)
    args.flags = ["--precision", args.precision] + (["--model", args.model] if args.model else [])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    for name in args.only or PARTS:
        print(f"== {name}: {PARTS[name].__doc__.splitlines()[0]}", flush=True)
        PARTS[name](args)
    print(f"{check.failures} wrong")
    sys.exit(bool(check.failures))


if __name__ == "__main__":
    main()

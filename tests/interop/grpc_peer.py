"""gRPC's own implementation for Python on both sides of the gateway: a server, and the cases that call it."""

import concurrent.futures
import threading

import grpc

SERVICE = "interop.Test"
WAIT = 20


class Server:
    """Methods that take and give bytes; `cancelled` is set once a call to `Wait` was cancelled."""

    def __init__(self):
        self.waiting = threading.Event()
        self.cancelled = threading.Event()
        self.deadlines = []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        handlers = {
            "Same": grpc.unary_unary_rpc_method_handler(self.same),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Forever": grpc.unary_stream_rpc_method_handler(self.forever),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Join": grpc.stream_unary_rpc_method_handler(lambda messages, _: b"".join(messages)),
            "Echo": grpc.stream_stream_rpc_method_handler(lambda messages, _: messages),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def stop(self):
        self.server.stop(None)

    def same(self, message, context):
        metadata = context.invocation_metadata()
        context.send_initial_metadata([pair for pair in metadata if pair[0].startswith("x-")])
        context.set_trailing_metadata([("x-last", "done")])
        return message

    def fail(self, message, context):
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100 % übel")

    def wait(self, message, context):
        ended = threading.Event()
        if not context.add_callback(ended.set):
            ended.set()
        self.deadlines.append(context.time_remaining())
        self.waiting.set()
        if ended.wait(WAIT):
            self.cancelled.set()
        return b""

    def forever(self, message, context):
        yield b"first"
        yield self.wait(message, context)

    def count(self, message, context):
        for number in range(int(message)):
            yield b"%d" % number


def call(channel, kind, method):
    return getattr(channel, kind)(f"/{SERVICE}/{method}")


def equal(is_, should):
    assert is_ == should, f"{is_!r} instead of {should!r}"


def unary(channel, server):
    metadata = [("x-text", "one"), ("x-text", "two"), ("x-bytes-bin", b"\x00\xff,;")]
    answer, done = call(channel, "unary_unary", "Same").with_call(b"hello", metadata=metadata, timeout=WAIT)
    equal(answer, b"hello")
    equal([tuple(pair) for pair in done.initial_metadata() if pair[0] in ("x-text", "x-bytes-bin")], metadata)
    assert ("x-last", "done") in [tuple(pair) for pair in done.trailing_metadata()]


def large(channel, server):
    message = bytes(range(256)) * (3 << 12)
    equal(call(channel, "unary_unary", "Same")(message, timeout=WAIT), message)


def server_stream(channel, server):
    messages = list(call(channel, "unary_stream", "Count")(b"1000", timeout=WAIT))
    equal(messages, [b"%d" % number for number in range(1000)])


def client_stream(channel, server):
    equal(call(channel, "stream_unary", "Join")(iter([b"a", b"", b"b"]), timeout=WAIT), b"ab")


def bidi(channel, server):
    # Each message is sent only after the answer to the one before.
    echoed = threading.Semaphore(1)

    def messages():
        for number in range(50):
            assert echoed.acquire(timeout=WAIT)
            yield b"%d" % number

    answers = []
    for answer in call(channel, "stream_stream", "Echo")(messages(), timeout=WAIT):
        answers.append(answer)
        echoed.release()
    equal(answers, [b"%d" % number for number in range(50)])


def failure(run):
    try:
        run()
    except grpc.RpcError as error:
        return error
    raise AssertionError("no failure")


def error(channel, server):
    status = failure(lambda: call(channel, "unary_unary", "Fail")(b"", timeout=WAIT))
    equal((status.code(), status.details()), (grpc.StatusCode.FAILED_PRECONDITION, "100 % übel"))
    assert ("x-why", "because") in [tuple(pair) for pair in status.trailing_metadata()]


def no_route(channel, server):
    status = failure(lambda: channel.unary_unary("/interop.Other/Same")(b"", timeout=WAIT))
    equal(status.code(), grpc.StatusCode.UNIMPLEMENTED)


def forget(server):
    for event in (server.waiting, server.cancelled):
        event.clear()
    server.deadlines.clear()


def deadline(channel, server):
    for kind, method in (("unary_unary", "Wait"), ("unary_stream", "Forever")):
        forget(server)
        invoke = call(channel, kind, method)
        status = failure(lambda: [*invoke(b"", timeout=0.5)] if kind == "unary_stream" else invoke(b"", timeout=0.5))
        equal(status.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        assert server.cancelled.wait(WAIT), "the server did not see the end"
        # What is told is rounded up on its way.
        assert 0 < server.deadlines[0] < 0.6, f"the server was told {server.deadlines[0]}"


def cancel(channel, server):
    for kind, method in (("unary_unary", "Wait"), ("unary_stream", "Forever")):
        forget(server)
        invoke = call(channel, kind, method)
        pending = invoke(b"", timeout=WAIT) if kind == "unary_stream" else invoke.future(b"", timeout=WAIT)
        assert server.waiting.wait(WAIT), "the server did not see the call"
        pending.cancel()
        assert server.cancelled.wait(WAIT / 2), "the server did not see the end"


def many(channel, server):
    same = call(channel, "unary_unary", "Same")
    calls = [same.future(b"%d" % number, timeout=WAIT) for number in range(300)]
    equal([pending.result() for pending in calls], [b"%d" % number for number in range(300)])


CASES = [unary, large, server_stream, client_stream, bidi, error, no_route, deadline, cancel, many]

"""Pickles and what wraps them: every way in which loading a file runs a program. Each tries to leave a mark."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from tests.scan.corpus import CARD, header, tensor
from tests.scan.corpus.case import FORMAT, Case, many

ST = "model.safetensors"
GOOD, DATA = {"a": tensor()}, b"\0\0\x80\x3f"
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)


class _Call:
    """Unpickling calls `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def shell(mark: Path) -> str:
    return f"touch {mark}"


def payload(mark: Path, protocol: int = 2) -> bytes:
    return pickle.dumps(_Call(os.system, shell(mark)), protocol)


def by_hand(module: str, name: str, *arguments: object, protocol: int = 0) -> bytes:
    """A pickle that calls `module.name(*arguments)`, whether or not the module is here."""
    packed = b"".join(pickle.dumps(argument, 2)[2:-1] for argument in arguments)
    if protocol >= 4:
        names = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name))
        return b"\x80\x04" + names + b"\x93(" + packed + b"tR."
    head = b"\x80\x02" if protocol else b""
    return head + f"c{module}\n{name}\n(".encode() + packed + b"tR."


def gadgets(mark: Path) -> list[tuple[str, str, tuple[object, ...]]]:
    """(module, name, arguments): ways to a shell, to the file system, to more pickles, to the network."""
    run, code = shell(mark), f"open({str(mark)!r}, 'w').close()"
    touch = ["/usr/bin/touch", str(mark)]
    return [
        ("os", "system", (run,)),
        ("posix", "system", (run,)),
        ("nt", "system", (run,)),
        ("os", "popen", (run,)),
        ("os", "execv", ("/usr/bin/touch", touch)),
        ("os", "spawnv", (1, "/usr/bin/touch", touch)),
        ("os", "posix_spawn", ("/usr/bin/touch", touch, {})),
        ("subprocess", "Popen", (touch,)),
        ("subprocess", "call", (touch,)),
        ("subprocess", "run", (touch,)),
        ("subprocess", "check_output", (touch,)),
        ("subprocess", "getoutput", (run,)),
        ("builtins", "exec", (code,)),
        ("builtins", "eval", (code,)),
        ("__builtin__", "eval", (code,)),
        ("builtins", "__import__", ("antigravity",)),
        ("builtins", "getattr", ("x", "__class__")),
        ("builtins", "open", (str(mark), "w")),
        ("builtins", "compile", (code, "x", "exec")),
        ("builtins", "breakpoint", ()),
        ("pty", "spawn", (touch,)),
        ("runpy", "run_path", ("evil.py",)),
        ("runpy", "_run_code", (code, {})),
        ("pydoc", "pipepager", ("x", run)),
        ("pydoc", "locate", ("os.system",)),
        ("timeit", "timeit", (code,)),
        ("cProfile", "run", (code,)),
        ("profile", "run", (code,)),
        ("bdb", "Bdb.run", ("x", code)),
        ("code", "interact", ()),
        ("doctest", "debug_script", (code,)),
        ("trace", "Trace.run", ("x", code)),
        ("importlib", "import_module", ("antigravity",)),
        ("pkgutil", "resolve_name", ("os:system",)),
        ("webbrowser", "open", ("http://127.0.0.1:9/",)),
        ("pathlib", "Path.write_text", ("x", "y")),
        ("pathlib", "PosixPath.touch", (str(mark),)),
        ("shutil", "rmtree", ("/nonexistent-x",)),
        ("shutil", "copyfile", ("/etc/hostname", str(mark))),
        ("ctypes", "CDLL", ("libevil.so",)),
        ("_ctypes", "dlopen", ("libevil.so", 2)),
        ("multiprocessing.util", "spawnv_passfds", (b"/usr/bin/touch", touch, ())),
        ("torch.serialization", "os.system", (run,)),
        ("numpy.lib._npyio_impl", "os.system", (run,)),
        ("numpy.testing._private.utils", "runstring", (code, {})),
        ("torch", "load", ("evil.pt",)),
        ("torch.hub", "load", ("org/repo", "x")),
        ("torch.jit", "load", ("evil.pt",)),
        ("joblib", "load", ("evil",)),
        ("pandas", "read_pickle", ("evil.pkl",)),
        ("pickle", "loads", (payload(mark),)),
        ("_pickle", "loads", (payload(mark),)),
        ("marshal", "loads", (b"N",)),
        ("dill", "loads", (payload(mark),)),
        ("yaml", "unsafe_load", (f"!!python/object/apply:os.system [{run!r}]",)),
        ("functools", "partial", (print,)),
        ("operator", "attrgetter", ("__class__",)),
        ("operator", "methodcaller", ("system", run)),
        ("types", "FunctionType", ()),
        ("logging.config", "dictConfig", ({},)),
        ("socket", "create_connection", (("127.0.0.1", 9),)),
        ("urllib.request", "urlretrieve", ("http://127.0.0.1:9/", str(mark))),
        ("http.client", "HTTPConnection", ("127.0.0.1",)),
        ("smtplib", "SMTP", ()),
        ("ensurepip", "_run_pip", (["install", "evil"],)),
        ("pip", "main", (["install", "evil"],)),
        ("venv", "create", (str(mark),)),
        ("zipimport", "zipimporter", ("evil.zip",)),
        ("sys", "exit", (0,)),
        ("signal", "raise_signal", (2,)),
        ("asyncio", "run", ()),
        ("threading", "Thread", ()),
        ("transformers.utils.import_utils", "os.system", (run,)),
        ("torch.utils.cpp_extension", "load", ("x", [])),
        ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", ("x", code)),
        ("idlelib.pyshell", "ModifiedInterpreter.runcode", ("x", code)),
        ("distutils.file_util", "write_file", (str(mark), ["x"])),
        ("evil_module_nobody_knows", "thing", ()),
    ]


PLACES = ("pytorch_model.bin", ST, "model.pkl", "config.json", "training_args.bin", "optimizer.pt", "LICENSE", "NOTICE")


def _gadgets(mark: Path) -> list[Case]:
    found = []
    for number, (module, name, arguments) in enumerate(gadgets(mark)):
        protocol = (0, 2, 4)[number % 3]
        content = by_hand(module, name, *arguments, protocol=protocol)
        place = PLACES[number % len(PLACES)]
        found.append(Case(f"{module}.{name} in {place}", "pickle gadget", {place: content}, FORMAT))
    return found


def _opcodes(mark: Path) -> list[Case]:
    run = shell(mark).encode()
    return many(
        "pickle opcodes",
        FORMAT,
        {
            "INST": ("LICENSE", b"(S'" + run + b"'\nios\nsystem\n."),
            "OBJ": ("LICENSE", b"(cos\nsystem\nS'" + run + b"'\no."),
            "BUILD": ("NOTICE", b"cbuiltins\nobject\n)\x81}b."),
            "NEWOBJ_EX": ("NOTICE", b"\x80\x04cbuiltins\ndict\n)}\x92."),
            "EXT1": ("model.pkl", b"\x80\x02\x82\x01)R."),
            "memo and STACK_GLOBAL": (
                "model.bin",
                b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c" + bytes([len(run)]) + run + b"\x85R.",
            ),
            "persistent id": ("model.bin", b"\x80\x02X\x01\x00\x00\x00aQ."),
            "protocol 5 buffers": ("model.bin", b"\x80\x05\x97\x98."),
            "frame": ("NOTICE", payload(mark, 4)),
            "only imports": ("NOTICE", b"cantigravity\nx\n."),
            "optimised": ("merges.txt", pickletools.optimize(payload(mark))),
            "behind a long string": ("NOTICE", b"S'" + b"A" * 99999 + b"'\n0cos\nsystem\n(S'" + run + b"'\ntR."),
            "behind a popped mark": ("LICENSE", b"(0cos\nsystem\n(S'" + run + b"'\ntR."),
            "no end": ("LICENSE", b"cos\nsystem\n(S'" + run + b"'\ntR"),
            "setstate by hand": ("config.json", b"ccollections\nOrderedDict\n)R}(S'a'\nS'b'\nub."),
            "reduce in a dictionary": ("model.pkl", pickle.dumps({"weights": [1.0, _Call(os.system, shell(mark))]})),
        },
    )


def _broken(mark: Path) -> list[Case]:
    good = payload(mark)
    found = many(
        "broken pickle",
        FORMAT,
        {
            "cut short": ("pytorch_model.bin", good[:-3]),
            "second behind the first": ("config.json", pickle.dumps(1) + good),
            "unknown opcode behind the call": ("model.pkl", good[:-1] + b"\xff\xff"),
            "protocol 255": ("model.pkl", b"\x80\x05" + good[2:]),
            "no stop": ("NOTICE", payload(mark, 0)[:-1]),
            "bytes behind the end": ("LICENSE", good + b"Apache License\n" * 9),
        },
    )
    return [*found, Case("new lines before", "broken pickle", {"model.pkl": b"\n\n" + good})]


def _elsewhere(mark: Path) -> list[Case]:
    places = (
        ST,
        "config.json",
        "tokenizer.json",
        "README.md",
        "LICENSE",
        "chat_template.jinja",
        "report.html",
        "vocab.txt",
        "merges.txt",
        "tokenizer.model",
        "vocab.json",
        "generation_config.json",
        "adapter_model.safetensors",
        "tokenizer_config.json",
        "model-00001-of-00002.safetensors",
        "bom.cdx.json",
    )
    return [
        Case(f"protocol {n % 5} as {name}", "pickle under another name", {name: payload(mark, n % 5)}, FORMAT)
        for n, name in enumerate(places)
    ] + [Case("as the item table", "pickle under another name", {"records/evaluate_items.parquet": payload(mark)})]


def _joblib(mark: Path) -> list[Case]:
    raw = payload(mark)
    return many(
        "joblib",
        FORMAT,
        {
            "plain": ("model.joblib", raw),
            "gzip": ("tokenizer_config.json", gzip.compress(raw)),
            "bzip2": ("config.json", bz2.compress(raw)),
            "xz": ("config.json", lzma.compress(raw)),
            "lzma": ("config.json", lzma.compress(raw, format=lzma.FORMAT_ALONE)),
            "zlib": ("config.json", zlib.compress(raw)),
            "zlib, no compression": ("NOTICE", zlib.compress(raw, 0)),
            "zlib, best": (ST, zlib.compress(raw, 9)),
            "gzip under its own name": ("model.pkl.gz", gzip.compress(raw)),
        },
    )


def torch_zip(content: bytes, *more: tuple[str, bytes], root: str = "archive") -> bytes:
    """A zip as `torch.save` lays it out, `content` as its data.pkl."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{root}/data.pkl", content)
        archive.writestr(f"{root}/byteorder", b"little")
        archive.writestr(f"{root}/version", b"3\n")
        for name, data in more:
            archive.writestr(name, data)
    return stream.getvalue()


def _patched(content: bytes, mark: bytes, offset: int, value: bytes, *, last: bool = False) -> bytes:
    at = (content.rfind(mark) if last else content.find(mark)) + offset
    return content[:at] + value + content[at + len(value) :]


def zip_tricks(mark: Path) -> dict[str, bytes]:
    """Zips that torch opens, or that another reader opens differently."""
    whole = torch_zip(payload(mark))
    with_bytes = torch_zip(pickle.dumps({}, 2), ("archive/data/0", payload(mark)))
    return {
        "call in data.pkl": whole,
        "tensors only": torch_zip(pickle.dumps({"a": 1}, 2)),
        "encrypted flag, both": _patched(_patched(whole, b"PK\x03\x04", 6, b"\x01\0"), b"PK\x01\x02", 8, b"\x01\0"),
        "encrypted flag, central": _patched(whole, b"PK\x01\x02", 8, b"\x01\0"),
        "wrong checksum": _patched(_patched(whole, b"PK\x03\x04", 14, b"\0\0\0\1"), b"PK\x01\x02", 16, b"\0\0\0\1"),
        "names differ": _patched(whole, b"PK\x03\x04", 30, b"archive/DATA.pkl"),
        "member twice": torch_zip(pickle.dumps({}, 2), ("archive/data.pkl", payload(mark))),
        "pickle as tensor": with_bytes,
        "zip in zip": torch_zip(pickle.dumps({}, 2), ("archive/data/0", whole)),
        "member leads out": torch_zip(payload(mark), ("archive/../../evil.py", b"x")),
        "member absolute": torch_zip(payload(mark), ("/tmp/evil.py", b"x")),  # noqa: S108  a name in a zip
        "junk before": b"JUNK" * 16 + whole,
        "code of TorchScript": torch_zip(payload(mark), ("archive/code/__torch__.py", b"op_version_set = 1\n")),
        "cut short": whole[:-30],
        "comment": whole[:-2] + struct.pack("<H", 8) + b"comment.",
    }


def _zips(mark: Path) -> list[Case]:
    found = []
    for number, (name, content) in enumerate(zip_tricks(mark).items()):
        place = ("pytorch_model.bin", ST, "model.pt", "consolidated.00.pth")[number % 4]
        found.append(Case(f"{name} as {place}", "torch zip", {place: content}, () if name == "junk before" else FORMAT))
    return found


def tarred(name: str = "evil", kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, size
        archive.addfile(info, io.BytesIO(b"\0" * size))
    return stream.getvalue()


def legacy(mark: Path) -> dict[str, bytes]:
    """The format of torch before 1.6, and the one before that, a tar."""
    body = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return {
        "legacy with a call": body + payload(mark) + pickle.dumps([], 2),
        "legacy, storages only": body + pickle.dumps({}, 2) + pickle.dumps([], 2),
        "tar with pickles": tarred("pickle", size=512),
    }


def _archives() -> list[Case]:
    bomb = zlib.compress(b"\0" * (20 << 20), 9)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"\0" * (20 << 20))
    seven = b"7z\xbc\xaf\x27\x1c\0\x04" + b"\x11" * 56
    return many(
        "archives",
        FORMAT,
        {
            "7z": ("model.7z", seven),
            "7z as weights": (ST, seven),
            "7z as pytorch_model.bin": ("pytorch_model.bin", seven),
            "rar": (ST, b"Rar!\x1a\x07\x01\0" + b"x" * 40),
            "zstandard": ("config.json", b"\x28\xb5\x2f\xfd" + b"x" * 40),
            "lz4": ("config.json", b"\x04\x22\x4d\x18" + b"x" * 40),
            "tar that leads out": (ST, tarred("../../evil")),
            "tar, absolute": ("model.tar", tarred("/etc/evil")),
            "tar with a link": ("data.tar", tarred("a", tarfile.SYMTYPE, "/etc/passwd")),
            "tar with a hard link": ("data.tar", tarred("a", tarfile.LNKTYPE, "/etc/passwd")),
            "tar with a device": ("data.tar", tarred("a", tarfile.CHRTYPE)),
            "tar.gz": ("LICENSE", gzip.compress(tarred("../evil"))),
            "zip bomb": ("archive.zip", stream.getvalue()),
            "zlib bomb": ("merges.txt", bomb),
            "gzip bomb": ("vocab.json", gzip.compress(b"\0" * (20 << 20))),
            "empty zip": ("LICENSE", b"PK\x05\x06" + b"\0" * 18),
        },
    )


def _polyglots(mark: Path) -> list[Case]:
    whole = torch_zip(payload(mark))
    return many(
        "polyglot",
        ("format.", "content.", "safetensors.tail", "text.", "json.", "image."),
        {
            "zip behind safetensors": (ST, header(GOOD, DATA) + whole),
            "zip inside the last tensor": (ST, header({"a": tensor(0, len(whole), (len(whole),), "U8")}, whole)),
            "zip with comment inside the last tensor": (
                ST,
                header(
                    {"a": tensor(0, len(whole) + 8, (len(whole) + 8,), "U8")},
                    whole[:-2] + struct.pack("<H", 8) + b"comment.",
                ),
            ),
            "zip behind a card": ("README.md", CARD.encode() + whole),
            "zip behind JSON": ("config.json", b'{"model_type": "llama"}' + whole),
            "zip behind a licence": ("LICENSE", b"MIT License\n" + whole),
            "pickle behind a shebang": ("LICENSE", b"#!/bin/sh\n" + payload(mark)),
        },
    )


def cases(mark: Path) -> list[Case]:
    return [
        *_gadgets(mark),
        *_opcodes(mark),
        *_broken(mark),
        *_elsewhere(mark),
        *_joblib(mark),
        *_zips(mark),
        *many(
            "torch legacy",
            FORMAT,
            {
                f"{name} as {place}": (place, content)
                for (name, content), place in zip(
                    legacy(mark).items(), ("model.pt", ST, "pytorch_model.bin"), strict=True
                )
            },
        ),
        *_archives(),
        *_polyglots(mark),
    ]

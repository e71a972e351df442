"""Verifies an export of Countersign's audit log, or a proof of one row, without any of Countersign's own code.

    python3 verify_audit.py export.jsonl [--key VERIFIER_KEY]
    python3 verify_audit.py proof.json   [--key VERIFIER_KEY]

Give --key the public key that you kept yourself (a line of verifier.keys): the keys inside the file are only as good
as whoever gave you the file. Needs Python 3.9; the signature needs the package `cryptography`.
Exit code 0: all is well. 1: something is wrong. 2: the rows hold, but no signature could be checked.
"""

import base64
import hashlib
import json
import sys


def sha256(data):
    return hashlib.sha256(data).digest()


def row_hash(workspace, row):
    """SHA-256 over the previous row's hash and the length-prefixed fields."""
    names = ("at", "event", "actor", "subject", "detail")
    fields = [workspace, str(row["seq"])] + [row[name] for name in names]
    encoded = [field.encode() for field in fields]
    return sha256(bytes.fromhex(row["prev"]) + b"".join(b"%d:%s" % (len(field), field) for field in encoded))


class Tree:
    """The Merkle tree of RFC 6962, as its peaks."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def add(self, leaf):
        node, size = sha256(b"\0" + leaf), self.size
        while size & 1:
            node, size = sha256(b"\1" + self.peaks.pop() + node), size >> 1
        self.peaks.append(node)
        self.size += 1

    def root(self):
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = sha256(b"\1" + peak + node)
        return node


def root_from(leaf, index, size, path):
    """The root to which an inclusion proof leads (RFC 9162, 2.1.3.2), or None."""
    node, last, path = sha256(b"\0" + leaf), size - 1, list(path)
    while last > 0:
        if index & 1 or index < last:
            if not path:
                return None
            other = path.pop(0)
            node = sha256(b"\1" + (other + node if index & 1 else node + other))
        index, last = index >> 1, last >> 1
    return None if path else node


class Seal:
    """A C2SP signed note: origin, size, root, head, time, and a signature."""

    def __init__(self, note, workspace):
        self.text, _, self.signatures = note.rpartition("\n\n")
        origin, size, root, head, self.time = self.text.split("\n")
        if origin != "countersign.audit/" + workspace:
            raise ValueError("a seal is of another log: " + origin)
        self.size, self.root = int(size), base64.b64decode(root)
        self.head = base64.b64decode(head[len("head ") :])

    def is_signed(self, keys):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for key in keys:
            name, _, coded = key.split("+", 2)
            public = base64.b64decode(coded)[1:]
            key_id = sha256(name.encode() + b"\n\x01" + public)[:4]
            for line in self.signatures.splitlines():
                signature = base64.b64decode(line.split(" ")[-1])
                if signature[:4] != key_id:
                    continue
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], (self.text + "\n").encode())
                    return True
                except InvalidSignature:
                    pass
        return False


def signatures_of(seals, keys):
    """What is wrong with the signatures: a sentence and an exit code."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        return "SIGNATURE NOT CHECKED: install the package cryptography and run this again.", 2
    for seal in seals:
        if not seal.is_signed(keys):
            return "WRONG: the seal over %d rows is not signed by a known key." % seal.size, 1
    return "", 0


def check_export(lines, given):
    """Every row against the one before it and against the seals; prints what it found, gives the exit code."""
    head = json.loads(next(lines))
    workspace, keys = head["workspace"], [given] if given else head["keys"]
    seals, tree, prev, agreed = [], Tree(), b"", 0
    for line in lines:
        data = json.loads(line)
        if "seal" in data:
            seals.append(Seal(data["seal"], workspace))
            continue
        place = tree.size + 1
        if data["seq"] != place:
            return wrong("row %d is missing: row %d stands in its place." % (place, data["seq"]))
        if bytes.fromhex(data["prev"]) != prev:
            return wrong("row %d does not follow from the row before it." % place)
        prev = row_hash(workspace, data)
        if prev.hex() != data["hash"]:
            return wrong("row %d was changed." % place)
        tree.add(prev)
        for seal in seals:
            if seal.size == tree.size:
                if (seal.root, seal.head) != (tree.root(), prev):
                    return wrong("rows %d to %d are not those that were sealed." % (agreed + 1, seal.size))
                agreed = max(agreed, seal.size)
    if seals and max(seal.size for seal in seals) > tree.size:
        return wrong("row %d is missing: a seal covers %d rows." % (tree.size + 1, max(seal.size for seal in seals)))
    said, code = signatures_of(seals, keys)
    if code == 1:
        print(said)
        return code
    word = "verified" if code == 0 else "follow from one another and fit the seals"
    print("%s: %d rows %s, %d unsealed." % (workspace, agreed, word, tree.size - agreed))
    if code == 0 and seals and not given:
        print("The keys were taken from the file itself; give --key with the one you kept to be sure of it.")
    if said:
        print(said)
    return code


def check_proof(proof, given):
    """One row against a seal, without any other row."""
    workspace, row = proof["workspace"], proof["row"]
    seal = Seal(proof["seal"], workspace)
    leaf = row_hash(workspace, row)
    path = [base64.b64decode(node) for node in proof["path"]]
    if not 1 <= row["seq"] <= seal.size or root_from(leaf, row["seq"] - 1, seal.size, path) != seal.root:
        return wrong("row %d is not in the log that was sealed." % row["seq"])
    said, code = signatures_of([seal], [given] if given else proof["keys"])
    if code == 0:
        what = (workspace, row["seq"], row["event"], row["at"], seal.time)
        print("%s: row %d (%s, %s) stands in the log as it was sealed (%s)." % what)
    else:
        print(said)
    return code


def wrong(what):
    print("WRONG: " + what)
    return 1


def main(arguments):
    given = None
    if "--key" in arguments:
        place = arguments.index("--key")
        given = arguments[place + 1]
        del arguments[place : place + 2]
    if len(arguments) != 1:
        print(__doc__)
        return 1
    with open(arguments[0], encoding="utf-8") as file:
        try:
            first = file.readline()
            file.seek(0)
            if "audit export" in first:
                return check_export(iter(file), given)
            return check_proof(json.load(file), given)
        except (ValueError, KeyError, IndexError, TypeError):
            return wrong("this is no export and no proof of an audit log, or a part of it was changed.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

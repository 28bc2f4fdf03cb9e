"""The sealed texts of vectors.json, made by other code: `pip install cryptography`, then `python3 make.py > vectors.json`.

The format stands in DESIGN.md, "Sessions that the client keeps".
"""

import base64
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf(secret, info, length):
    prk = hmac.new(b"express-session cookie v1", secret, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:length]


def xaes(key, nonce, text, bound):
    """C2SP's XAES-256-GCM: a key by CMAC for the first half of the nonce, AES-256-GCM with the second."""
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    left = int.from_bytes(ecb.update(bytes(16)), "big")
    k1 = (left << 1) & (2**128 - 1)
    if left >> 127:
        k1 ^= 0x87
    derived = b""
    for number in (1, 2):
        block = int.from_bytes(struct.pack(">H", number) + b"X\x00" + nonce[:12], "big")
        derived += ecb.update((block ^ k1).to_bytes(16, "big"))
    return AESGCM(derived).encrypt(nonce[12:], text, bound)


def sealed(secret, info, bound, nonce, text):
    key, kid = hkdf(secret, info, 32), hkdf(secret, b"kid", 4)
    bound = b"\x01" + kid + bound
    whole = b"\x01" + kid + nonce + xaes(key, nonce, text, bound)
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def front(begun, renewed, ends, idle, lifetime, is_own):
    times = struct.pack(">qqqqqq", begun, renewed, ends, ends, idle, lifetime)
    after = bytes(range(16)) + times + bytes([is_own])
    return bytes([len(after)]) + after


NOW = 1_767_323_045_678
DAY = 86_400_000
SECRET = bytes(range(32))
NONCE = bytes(range(100, 124))


def cookie(name, audience, front, data):
    info = b"seal" + bytes([len(name)]) + name.encode()
    return sealed(SECRET, info, f"{name}\0{audience}".encode(), NONCE, front + data.encode())


def record(sid, text):
    return sealed(SECRET, b"record", sid.encode(), NONCE, text.encode())


def main():
    data = '{"user":"tj","views":3}'
    of_a_day = front(NOW - DAY, NOW - DAY // 2, NOW + 29 * DAY, DAY, -1, 0)
    of_a_week = front(NOW - 9 * DAY, NOW - 6 * DAY, NOW + 21 * DAY, 7 * DAY, 7 * DAY, 1)
    text = '{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"user":"tj","views":3}'
    vectors = {
        "now": NOW,
        "secret": SECRET.hex(),
        "data": data,
        "cookies": [
            {"name": "session", "audience": "", "value": cookie("session", "", of_a_day, data)},
            {"name": "__Host-session", "audience": "shop", "value": cookie("__Host-session", "shop", of_a_day, data)},
            {"name": "session", "audience": "", "lifetime": 7 * DAY, "value": cookie("session", "", of_a_week, data)},
        ],
        "begun": NOW - DAY,
        "renewed": NOW - DAY // 2,
        "ends": NOW + 29 * DAY,
        "records": [{"sid": "an id", "record": text, "sealed": record("an id", text)}],
    }
    print(json.dumps(vectors, indent=2))


main()

"""Labels: accuracy of classifiers on BANKING77 and on tones of the airline set, of rules and suggested topics; time, memory, disk.

    python -m bench.labels <folder of data sets> [--seeds 10]

All figures are about texts that were not used for training. Network access is disabled before anything is loaded.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import random
import resource
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from hubbub.labels.classifier import Floats
from hubbub.labels.configuration import starter
from hubbub.labels.decision import Message
from hubbub.labels.extra import language, vectors
from hubbub.labels.rules import Rules
from hubbub.labels.suggested import suggested
from hubbub.labels.training import train
from hubbub.model.label import LabelSet

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "wordllama", "tokenizers", "safetensors", "huggingface-hub",
    "hf-xet", "fsspec", "py3langid",
)  # fmt: skip
TESTED = 2_000
WINDOW, WEEK = 5_000, 400
Pairs = Sequence[tuple[str, str]]


def no_network(*_: Any, **__: Any) -> NoReturn:
    """Raise OSError in place of a connection."""
    raise OSError("the network is off")


@dataclass(frozen=True)
class Result:
    """Share of right labels among all test texts, and among the half with the highest confidence; share of counted texts, and
    share of right ones among these; seconds of training; ms for each text."""

    all: float
    half: float
    counted: float
    precision: float
    train: float
    ms: float


def banking(folder: Path) -> Pairs:
    """Return texts and intents."""
    with (folder / "intents/banking77/train.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def airlines(folder: Path) -> Pairs:
    """Return texts and tones."""
    with (folder / "twitter-airlines/Tweets.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["airline_sentiment"]) for row in csv.DictReader(file)]


def tried(pairs: Pairs, each: int, seed: int) -> Result:
    """Train with `each` texts of every label, drawn with a seed, and label other texts."""
    drawn = list(pairs)
    random.Random(seed).shuffle(drawn)
    seen: Counter[str] = Counter()
    learn: list[tuple[str, str]] = []
    test: list[tuple[str, str]] = []
    for text, label in drawn:
        (learn if seen[label] < each else test).append((text, label))
        seen[label] += 1
    test = test[:TESTED]
    begun = time.process_time()
    classifier = train([text for text, _ in learn], [label for _, label in learn], 0.9).classifier
    trained = time.process_time()
    guesses = classifier.guess([text for text, _ in test])
    took = time.process_time() - trained
    judged = sorted(
        ((-(guess.confidence or 0), guess.label == label) for guess, (_, label) in zip(guesses, test, strict=True))
    )
    half = judged[: len(judged) // 2]
    sure = [guess.label == label for guess, (_, label) in zip(guesses, test, strict=True) if guess.sure]
    return Result(
        sum(right for _, right in judged) / len(judged), sum(right for _, right in half) / len(half),
        len(sure) / len(test), sum(sure) / len(sure) if sure else 0.0, trained - begun, 1000 * took / len(test),
    )  # fmt: skip


def table(name: str, pairs: Pairs, each: int, seeds: int) -> None:
    """Print the mean and the worst result of some seeds."""
    found = [tried(pairs, each, seed) for seed in range(seeds)]

    def mean(field: str) -> float:
        return float(sum(getattr(one, field) for one in found) / len(found))

    print(
        f"| {name}, {each} a label | {mean('all'):.3f} ({min(one.all for one in found):.3f}) | {mean('half'):.3f} "
        f"({min(one.half for one in found):.3f}) | {mean('counted'):.0%} | {mean('precision'):.3f} | {mean('train'):.1f} s | "
        f"{mean('ms'):.2f} ms |"
    )


def rules(pairs: Pairs) -> None:
    """Print the accuracy of the starter's rules for tones."""
    made = Rules(starter())
    begun = time.process_time()
    said = [(made.labels(text).get(LabelSet.TONE), tone) for text, tone in pairs]
    took = 1000 * (time.process_time() - begun) / len(pairs)
    for tone in ("negative", "positive"):
        mine = [right == tone for label, right in said if label == tone]
        there = sum(right == tone for _, right in said)
        right, found = sum(mine) / len(mine), sum(mine) / there
        print(f"| starter: {tone} | said of {len(mine)}, right {right:.3f}, found {found:.3f} | {took:.3f} ms |")


def megabytes() -> float:
    """Return the current memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def memory(pairs: Pairs) -> None:
    """Print the memory of labelling and suggesting, beyond that of this process before anything is loaded."""
    before = megabytes()
    vectors([text for text, _ in pairs[:1000]])
    meaning = megabytes()
    language("How do I get my money back from you?")
    languages = megabytes()
    suggested([Message(str(n), n, text) for n, (text, _) in enumerate(pairs[:WINDOW])], {}, frozenset(), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        f"memory: {meaning - before:.0f} MB for meaning, {languages - meaning:.0f} MB for languages, {peak - languages:.0f} MB "
        f"at the peak of suggesting from {WINDOW} texts; {before:.0f} MB before"
    )


def disk() -> None:
    """Print the disk space of the extra's packages."""
    sizes = {}
    for name in PACKAGES:
        files = importlib.metadata.files(name) or []
        sizes[name] = sum(place.stat().st_size for file in files if (place := Path(str(file.locate()))).is_file()) / 1e6
    print(f"disk: {sum(sizes.values()):.0f} MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))


def weeks(pairs: Pairs) -> None:
    """Print the share of texts that keep their suggested topic when a window of 5,000 texts moves by 400, and topics' purity."""
    drawn = list(enumerate(pairs))
    random.Random(1).shuffle(drawn)
    messages = [Message(str(key), place, text) for place, (key, (text, _)) in enumerate(drawn)]
    labels = {str(key): label for key, (_, label) in drawn}
    known: dict[int, Floats] = {}
    shares, seconds = [], []
    before: dict[str, int] = {}
    for end in range(WINDOW, len(messages) + 1, WEEK):
        begun = time.process_time()
        topics = suggested(messages[end - WINDOW : end], known, frozenset(), max(known, default=0) + 1).topics
        seconds.append(time.process_time() - begun)
        now = {message.key: topic.number for topic in topics for message in topic.messages}
        shared = [key for key in now if key in before]
        if shared:
            shares.append(sum(now[key] == before[key] for key in shared) / len(shared))
        before, known = now, {topic.number: topic.centre for topic in topics}
    common = sum(Counter(labels[m.key] for m in topic.messages).most_common(1)[0][1] for topic in topics)
    print(
        f"suggested topics: {len(known)} of {WINDOW} texts, {len(before) / WINDOW:.0%} of them in one, "
        f"{common / len(before):.0%} of these of its commonest intent; {min(shares):.1%} to {max(shares):.1%} keep their topic "
        f"from week to week; first run {seconds[0]:.1f} s, later {max(seconds[1:]):.1f} s at most"
    )


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    socket.socket.connect = no_network  # type: ignore[method-assign]
    socket.getaddrinfo = no_network
    questions, tones = banking(asked.folder), airlines(asked.folder)
    memory(questions)
    disk()
    print("| data | right of all (worst) | of the surer half (worst) | counted | right of those | training | a text |")
    print("|---|---|---|---|---|---|---|")
    table("BANKING77", questions, 8, asked.seeds)
    table("BANKING77", questions, 32, min(3, asked.seeds))
    table("airline tones", tones, 32, min(3, asked.seeds))
    table("airline tones", tones, 300, min(3, asked.seeds))
    rules(tones)
    weeks(questions)


if __name__ == "__main__":
    main()

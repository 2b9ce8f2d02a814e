"""Every way in which a file can store a label map: what is decoded are the ids, or a refusal; there is no
third outcome. Two encoders write the files: Pillow, and a writer of PNG that is written here."""
import io
import struct
import warnings
import zlib
from itertools import product

import numpy as np
import pytest
from PIL import Image

from rabit.core.tensors import RabitError
from rabit.inputs.palettes import PALETTES, read_labels, voc_color

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GREY, RGB, INDEXED, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6                       # color types of a PNG


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rows_of(samples, depth, filters):
    "Rows of (h, w, c) samples, packed and filtered: none, sub, up, average or Paeth, in turn"
    h, w, c = samples.shape
    if h == 0 or w == 0: return b""
    if depth == 16: packed = samples.astype(">u2").view(np.uint8).reshape(h, -1)
    elif depth == 8: packed = samples.astype(np.uint8).reshape(h, -1)
    else:
        bits = samples.reshape(h, -1)[..., None] >> np.arange(depth)[::-1] & 1
        packed = np.packbits(bits.reshape(h, -1).astype(np.uint8), axis=1)
    step, out, above = max(1, c * depth // 8), b"", np.zeros(packed.shape[1], int)
    for y, row in enumerate(packed.astype(int)):
        left, corner = (np.concatenate([np.zeros(step, int), x])[:len(row)] for x in (row, above))
        near = [abs(left + above - corner - x) for x in (left, above, corner)]
        paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left,
                         np.where(near[1] <= near[2], above, corner))
        guess = (0, left, above, (left + above) // 2, paeth)
        kind = y % 5 if filters else 0
        out += bytes([kind]) + ((row - guess[kind]) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def write_png(samples, depth, color, interlace=False, palette=(), transparency=b"", filters=True):
    "A PNG of (h, w, c) samples as bytes"
    h, w, _ = samples.shape
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlace else [samples]
    data = b"".join(rows_of(part, depth, filters) for part in parts)
    header = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + (chunk(b"PLTE", bytes(v for c in palette for v in c)) if len(palette) else b"")
            + (chunk(b"tRNS", transparency) if transparency else b"")
            + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


def decode(data, **options):
    "Ids of a file, or None if it is refused"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                              # 0 and 255 alone are told about
        try: return read_labels(io.BytesIO(data), **options)[0].numpy()
        except RabitError as e:
            assert len(str(e)) < 1000
            return None


def random_ids(rng, known):
    "A map of regions with ids of these, of an odd size"
    h, w = rng.integers(1, 14, 2)
    small = rng.choice(known, (-(-h // 3), -(-w // 2)))
    return small.repeat(3, 0).repeat(2, 1)[:h, :w].astype(np.int64)


IDS = ([0], [3], [0, 1], [0, 1, 2, 3], [0, 5], [0, 255], [0, 1, 2, 3, 5, 255], [1, 2, 3], [7, 14],
       list(range(15)), list(range(21)), [0, 37, 149, 255], [9, 250, 251])


def grey_files(rng, ids):
    "Name, file, ids that it means"
    h, w = ids.shape
    for depth, interlace in product((1, 2, 4, 8, 16), (False, True)):
        if ids.max() >= 2 ** depth: continue
        samples = ids[..., None]
        yield f"grey {depth}", write_png(samples, depth, GREY, interlace), ids
        key = int(rng.choice(ids.ravel()))
        clear = struct.pack(">H", key)
        yield (f"grey {depth} key", write_png(samples, depth, GREY, interlace, transparency=clear),
               np.where(ids == key, 255, ids))
        if depth < 8: continue
        alpha = rng.choice([0, 1, 2 ** depth - 1], (h, w))
        erased, two = np.where(alpha == 0, 255, ids), np.stack([ids, alpha], 2)
        yield f"grey alpha {depth}", write_png(two, depth, GREY_ALPHA, interlace), erased
        yield f"equal {depth}", write_png(samples.repeat(3, 2), depth, RGB, interlace), ids
        four = np.stack([ids, ids, ids, alpha], 2)
        yield f"equal alpha {depth}", write_png(four, depth, RGB_ALPHA, interlace), erased
    a = Image.fromarray(ids.astype(np.uint8))
    wide = Image.fromarray(ids.astype(np.uint16))
    alpha = Image.fromarray(rng.choice([0, 255], (h, w)).astype(np.uint8))
    erased = np.where(np.asarray(alpha) == 0, 255, ids)
    images = {"L": (a, ids), "I;16": (wide, ids), "RGB": (a.convert("RGB"), ids),
              "I": (wide.convert("I"), ids), "LA": (Image.merge("LA", [a, alpha]), erased),
              "RGBA": (Image.merge("RGBA", [a, a, a, alpha]), erased)}
    for (mode, (im, meant)), (form, options) in product(images.items(), (
            ("PNG", {}), ("PNG", dict(optimize=True)), ("TIFF", {}), ("TIFF", dict(compression="tiff_lzw")),
            ("BMP", {}), ("GIF", {}), ("PPM", {}), ("WEBP", dict(lossless=True, exact=True)), ("WEBP", {}))):
        memory = io.BytesIO()
        try: im.save(memory, form, **options)
        except (OSError, ValueError): continue                       # a mode that the format lacks
        lossy = form == "WEBP" and not options
        if form in ("BMP", "GIF", "PPM") and mode in ("LA", "RGBA", "I"): continue  # these change it
        yield f"pillow {form} {mode}", memory.getvalue(), None if lossy else meant


def indexed_files(rng, ids):
    "Name, file, ids that it means"
    used = np.unique(ids)
    rank = np.searchsorted(used, ids)
    greys, order = [(int(i),) * 3 for i in used], rng.permutation(len(used))
    own = [tuple(int(v) for v in c) for c in rng.integers(0, 256, (256, 3))]
    palettes = {
        "identity": (ids, [(i,) * 3 for i in range(256)], ids),
        "voc": (ids, [voc_color(i) for i in range(256)], ids),
        "own": (ids, own, ids),
        "ranks": (rank, greys, ids),
        "shuffled": (np.argsort(order)[rank], [greys[i] for i in order], ids),
        "ramp": (rank, [(round(255 * i / max(len(used) - 1, 1)),) * 3 for i in range(len(used))], rank),
        "long ramp": (rank, [(round(255 * i / 20),) * 3 for i in range(21)], rank),
    }
    for name, p in PALETTES.items():
        color = {i: c for c, i in reversed(p.items())}
        if not set(used) <= set(color): continue
        mine = [color[int(i)] for i in used]
        palettes[f"{name} renumbered"] = np.argsort(order)[rank], [mine[i] for i in order], ids
    every = product(palettes.items(), (1, 2, 4, 8), (False, True))
    for (name, (index, palette, meant)), depth, interlace in every:
        if index.max() >= 2 ** depth: continue
        if "ramp" in name and len(palette) > 2 ** depth: continue    # cut, it would be another one
        palette = palette[:2 ** depth]
        samples, alpha = index[..., None], rng.choice([0, 128, 255], len(palette)).astype(np.uint8)
        yield f"indexed {name} {depth}", write_png(samples, depth, INDEXED, interlace, palette), meant
        yield (f"indexed {name} {depth} alpha",
               write_png(samples, depth, INDEXED, interlace, palette, alpha.tobytes()),
               np.where(alpha[index] == 0, 255, meant))
        if interlace: continue
        im = Image.fromarray(index.astype(np.uint8), "P")
        im.putpalette([v for c in palette for v in c])
        for form in ("PNG", "GIF", "TIFF", "BMP"):
            if form == "GIF" and "ramp" in name: continue            # it keeps colors, not numbers
            im.save(memory := io.BytesIO(), form)
            yield f"pillow indexed {name} {form}", memory.getvalue(), meant


def colored_files(rng, ids):
    "Name, file, ids that it means, palette that is given or None"
    for name, p in PALETTES.items():
        color = {i: c for c, i in reversed(p.items())}
        if not set(np.unique(ids)) <= set(color): continue
        table = np.zeros((256, 3), np.int64)
        for i, c in color.items(): table[i] = c
        colors, alpha = table[ids], rng.choice([0, 255], ids.shape)
        for depth, interlace, palette in product((8, 16), (False, True), (None, name)):
            scaled, both = colors * (257 if depth == 16 else 1), np.concatenate([colors, alpha[..., None]], 2)
            yield f"color {name} {depth}", write_png(scaled, depth, RGB, interlace), ids, palette
            if depth == 8:
                yield (f"color {name} alpha", write_png(both, 8, RGB_ALPHA, interlace),
                       np.where(alpha == 0, 255, ids), palette)
                key = tuple(int(v) for v in rng.choice(colors.reshape(-1, 3)))
                clear = struct.pack(">3H", *key)
                yield (f"color {name} key", write_png(colors, 8, RGB, interlace, transparency=clear),
                       np.where((colors == key).all(2), 255, ids), palette)
        Image.fromarray(colors.astype(np.uint8)).quantize(256).save(memory := io.BytesIO(), "PNG")
        yield f"pillow color {name} quantized", memory.getvalue(), ids, None
        yield f"pillow color {name} quantized", memory.getvalue(), ids, name


def test_the_writer_of_png_is_read_by_pillow_bit_for_bit():
    rng = np.random.default_rng(0)
    kinds = ((8, GREY, 1), (16, GREY, 1), (8, GREY_ALPHA, 2), (8, RGB, 3), (8, RGB_ALPHA, 4))
    for (depth, color, c), interlace in product(kinds, (False, True)):
        samples = rng.integers(0, 2 ** depth, (*rng.integers(1, 20, 2), c))
        read = np.asarray(Image.open(io.BytesIO(write_png(samples, depth, color, interlace))))
        assert (read.reshape(samples.shape) == samples).all()


@pytest.mark.parametrize("classes", [None, 256])
def test_ids_of_every_encoding_come_back_or_are_refused(classes):
    rng, outcomes = np.random.default_rng(1), {}
    for known in IDS:
        ids = random_ids(rng, known)
        files = [(*f, None) for f in (*grey_files(rng, ids), *indexed_files(rng, ids))]
        for name, data, meant, palette in (*files, *colored_files(rng, ids)):
            if rng.random() > .3: continue
            if meant is not None and (meant == 255).all(): continue  # a map of nothing is not meant
            found = decode(data, classes=classes and max(known) + 1, palette=palette)
            right = found is None or meant is not None and (found == meant).all()
            assert right, (name, known, palette, found, meant)
            outcomes.setdefault(name.split(" key")[0].split(" alpha")[0], []).append(found is not None)
    assert sum(map(len, outcomes.values())) >= 1000
    # what people store must be read; what loses bits never is
    for name in ("grey 8", "grey 16", "pillow PNG L", "pillow PNG RGB", "pillow GIF L", "pillow TIFF I;16",
                 "indexed identity 8", "indexed own 8"):
        assert np.mean(outcomes[name]) > .8, name
    wide = [found for name, found in outcomes.items() if name.endswith(" 16") and name != "grey 16"]
    assert wide and not any(map(any, wide))
    assert np.mean(sum(outcomes.values(), [])) > .5

"""Makes the columnar files beside this file, which all hold the same clicks, and columns.json with what they hold.

    python make_columns.py

Made with Python 3.11, NumPy 2.4.6, PyArrow 26.0.1; the versions used are stored in columns.json.

clicks.arrow has all columns in two batches, with absent values; clicks.npz the columns without lists and without absent values, stored;
clicks-deflated.npz the same, compressed; records.npy the same as records. types.arrow and types.npz have a column of each type.
refused has files with what is not read.
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

HERE = pathlib.Path(__file__).parent
CLICK = [1, 0, 1, 0, 1]
USER = ["ann", "bob", "ann", "zoë", "bob"]
AGE = [24.5, 53.0, 24.5, 31.0, 53.0]
FILM = ["Emma", None, "Ran", "Ikiru", "Emma"]
SEEN = [["Ran", "Ikiru"], [], None, ["Emma", None], ["Ran"]]
ADULT = [True, False, True, True, False]
SHOP = [7, 7, 9, None, 9]


def write(name, table, **options):
    with pa.OSFile(str(HERE / name), "wb") as sink:
        with pa.ipc.new_file(sink, table.schema, **options) as writer:
            writer.write_table(table, max_chunksize=3)


clicks = pa.table(
    {
        "click": pa.array(CLICK, pa.int8()),
        "user": pa.array(USER, pa.string()),
        "age": pa.array(AGE, pa.float32()),
        "film": pa.array(FILM, pa.large_string()),
        "seen": pa.array(SEEN, pa.list_(pa.string())),
        "adult": pa.array(ADULT, pa.bool_()),
        "shop": pa.array(SHOP, pa.uint16()),
    }
)
write("clicks.arrow", clicks)
feather.write_feather(clicks, str(HERE / "clicks.feather"), compression="uncompressed")

integers = {f"{sign}int{bits}": [0, 1, 100] for sign in ("", "u") for bits in (8, 16, 32, 64)}
for bits in (8, 16, 32, 64):
    integers[f"int{bits}"] = [-(2 ** (bits - 1)), 0, 2 ** (bits - 1) - 1]
    integers[f"uint{bits}"] = [0, 1, 2 ** min(bits, 63) - 1]
floats = {f"float{bits}": [-0.5, 1.0, 65504.0] for bits in (16, 32, 64)}
arrays = {name: np.array(values, name) for name, values in (integers | floats).items()}
types = {name: pa.array(values, pa.from_numpy_dtype(values.dtype)) for name, values in arrays.items()}
types["bool"] = pa.array([True, False, True])
types["text"] = pa.array(["a", "", "é"])
types["large_text"] = pa.array(["a", "", "é"], pa.large_string())
types["list"] = pa.array([[1], [], [2, 3]], pa.list_(pa.int64()))
types["large_list"] = pa.array([[True], [], [False, True]], pa.large_list(pa.bool_()))
write("types.arrow", pa.table(types))
np.savez(
    HERE / "types.npz", **arrays, bool=np.array([True, False, True]), text=np.array(["a", "", "é"]), bytes=np.array([b"a", b"", b"bc"])
)

plain = dict(
    click=np.array(CLICK, np.int8),
    user=np.array(USER),
    age=np.array(AGE, np.float32),
    film=np.array([film or "" for film in FILM]),
    adult=np.array(ADULT),
)
np.savez(HERE / "clicks.npz", **plain)
np.savez_compressed(HERE / "clicks-deflated.npz", **plain)
records = np.rec.fromarrays(list(plain.values()), names=list(plain))
np.save(HERE / "records.npy", np.array(records.tolist(), records.dtype))
np.save(HERE / "matrix.npy", np.zeros((2, 3)))
np.save(HERE / "objects.npy", np.array(["a", 1], object), allow_pickle=True)

write("refused/compressed.arrow", clicks, options=pa.ipc.IpcWriteOptions(compression="lz4"))
write("refused/dictionary.arrow", pa.table({"film": pa.array(["Emma", "Ran", "Emma"]).dictionary_encode()}))
write("refused/type.arrow", pa.table({"when": pa.array([1, 2], pa.timestamp("s"))}))

values = dict(click=CLICK, user=USER, age=AGE, film=FILM, seen=SEEN, adult=ADULT, shop=SHOP)
versions = {name: importlib.metadata.version(name) for name in ("numpy", "pyarrow")}
(HERE / "columns.json").write_text(
    json.dumps(dict(versions=versions, clicks=values, integers=integers, floats=floats), ensure_ascii=False) + "\n"
)

"""Disk space: the whole folder of a store, compared with the same events as zstd Parquet, ordered by tenant and time."""

from __future__ import annotations

import duckdb

from bench import lab


def measure(size: lab.Size) -> lab.Findings:
    """Measure the size of a closed folder."""
    folder, file = lab.folded(size), size.path(".ordered.parquet")
    with duckdb.connect() as con:
        con.execute(lab.ORDERING)
        con.execute(
            f"COPY (SELECT * EXCLUDE file_row_number FROM read_parquet('{size.parquet}', file_row_number = true) "
            "QUALIFY row_number() OVER (PARTITION BY tenant, id ORDER BY file_row_number) = 1 "
            f"ORDER BY tenant, \"time\") TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )
    sizes = {path.name: path.stat().st_size / 1e6 for path in folder.rglob("*") if path.is_file()}
    most = sorted(sizes.items(), key=lambda one: -one[1])[:3]
    note = ", ".join(f"{name} {mb:,.1f} MB" for name, mb in most)
    found = {"disk": lab.found([sum(sizes.values())], [file.stat().st_size / 1e6], note)}
    file.unlink()
    return found

"""The registry's tables. History is only ever added to; a version's causes never change."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

FORMAT = 1
METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up whole numbers alone

ABOUT = Table("mlops_registry", METADATA, Column("format", Integer, primary_key=True))

VERSIONS = Table(
    "mlops_versions",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("plan", String(64), nullable=False),
    Column("lock", String(64), nullable=False),
    Column("lock_size", BigInteger, nullable=False),
    Column("record", String(64), nullable=False),
    Column("record_size", BigInteger, nullable=False),
    Column("model", String(64), nullable=False, index=True),
    Column("bundle", String(64), nullable=False, index=True),
    Column("bundle_size", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("primary", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("made", Float(53), nullable=False),
    Column("by", Text, nullable=False),
    Column("archived", Float(53)),
    # A run of nothing but hits is the version that is there.
    UniqueConstraint("name", "plan", "bundle"),
)

ALIASES = Table(
    "mlops_aliases",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("alias", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
    # Grows with each change: who compared with another state is told.
    Column("revision", Integer, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["mlops_versions.name", "mlops_versions.number"]),
)

EVENTS = Table(
    "mlops_events",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("what", String(20), nullable=False),
    Column("version", Integer),
    Column("alias", String(100)),
    Column("before", Integer),
    Column("reason", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("made", Float(53), nullable=False),
    Column("by", Text, nullable=False),
    Index("mlops_events_of_name", "name", "number"),
    Index("mlops_events_of_alias", "name", "alias", "number"),
)

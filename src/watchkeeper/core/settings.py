"""Settings of one installation: `WATCHKEEPER_*` variables that are not empty, then `watchkeeper.toml` in the data folder, then the defaults below.

`watchkeeper doctor --settings` lists them all with their source.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

TOML_FILE = "watchkeeper.toml"
DEMO_MARK = "demo.json"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="WATCHKEEPER_", env_ignore_empty=True, extra="ignore")

    data: Path = Field(Path("watchkeeper-data"), description="Folder of everything this installation keeps.")
    database_url: str = Field("", description="postgresql://… for a company; empty: SQLite in the data folder. DATABASE_URL works too.")
    telemetry: str = Field("", description="Where prediction and label rows go: a folder or s3://…; empty: `telemetry` in the data folder.")
    base_url: str = Field("http://127.0.0.1:8000", description="Address people use, for links in messages.")
    allowed_hosts: str = Field("*", description="Host names this server answers to, separated by commas.")
    company: str = Field("Company", description="Name of the root of the organisation tree.")
    language: str = Field("en", description="Language of messages to people who have chosen none: en or ru.")
    time_zone: str = Field("UTC", description="Time zone of people who have chosen none.")
    currency: str = Field("USD", description="Currency of costs, ISO 4217.")
    outgoing_allow: str = Field("", description="Hosts, host:port or networks that outgoing calls may reach although they are private.")
    heartbeat_url: str = Field("", description="Called after each full cycle of the worker: lets another system watch this one.")
    anchor_url: str = Field("", description="Gets the newest record of the history once a day: an outside witness that its end was not cut off.")
    secret_key: SecretStr = Field(SecretStr(""), description="Signs sessions; empty: made once and kept in the data folder.")
    encryption_keys: SecretStr = Field(SecretStr(""), description="Keys for channel secrets, newest first, separated by commas; empty: made once.")
    yellow_from: int = Field(1, ge=1, description="Sum of criticality from which a model is yellow.")
    red_from: int = Field(3, ge=1, description="Sum of criticality from which a model is red.")
    tier_cutoffs: dict[int, tuple[int, int]] = Field(
        {}, description='Both cut-offs by tier where they differ: {"1": [1, 2]} makes tier 1 red from 2.'
    )
    ingest_requests_per_minute: int = Field(60_000, description="Limit of ingest calls per token; 429 above it.")
    keep_payload_days: int = Field(7, description="Days applied ingest payloads are kept.")
    keep_rows_days: int = Field(400, description="Days prediction and label rows are kept.")
    keep_quarantine_days: int = Field(30, description="Days refused rows are kept.")
    keep_points_days: int = Field(1826, description="Days metric points and profiles are kept.")
    lease_seconds: float = Field(60, gt=0, description="How long a worker holds what it claimed; after that another one may take it.")
    log_commit_seconds: float = Field(30, description="At most one commit to a model's prediction log in this time.")
    group_wait_seconds: float = Field(30, description="How long a message to a person waits for more.")
    group_interval_seconds: float = Field(300, description="Least time between two messages to one person about one model.")
    profile_refresh_seconds: float = Field(60, description="How long a day waits for more rows before its columns are counted again.")
    label_days: int = Field(400, description="Labels that come later than this many days after their prediction are not counted.")
    moment_columns: int = Field(100, ge=2, description="Numeric features that are looked at together; those after the first so many are left out.")
    watch_roots: str = Field("", description="Folders, separated by commas, below which models may watch files; empty: none.")
    profile_memory_mb: int = Field(512, description="Memory limit of the profile queries.")

    @classmethod
    def settings_customise_sources(  # signature of pydantic-settings
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, data_folder() / TOML_FILE)

    @property
    def is_demo(self) -> bool:
        return (self.data / DEMO_MARK).exists()

    @property
    def telemetry_root(self) -> str:
        return self.telemetry or str(self.data.resolve() / "telemetry")

    @property
    def postgres_url(self) -> str:
        return self.database_url or os.environ.get("DATABASE_URL", "")


def data_folder() -> Path:
    """Known before all other settings: one of their sources is in it."""
    return Path(os.environ.get("WATCHKEEPER_DATA") or "watchkeeper-data")


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()

"""Variables that CI sets: a test whose service is missing then fails instead of being skipped."""

ENGINE = "MATRIX_RUNNER_REQUIRE_ENGINE"
PODMAN = "MATRIX_RUNNER_REQUIRE_PODMAN"
INDEX = "MATRIX_RUNNER_REQUIRE_INDEX"
BROWSER = "MATRIX_RUNNER_REQUIRE_BROWSER"

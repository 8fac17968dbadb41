"""`python -m storage_service --config FILE`."""

import gc
import sys

gc.disable()  # main() enables it: a restart is write outage, and up to a quarter of the imports' time went into it

from service_common.server import main  # noqa: E402

from storage_service.app import create_app  # noqa: E402
from storage_service.config import Settings  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(Settings, create_app))

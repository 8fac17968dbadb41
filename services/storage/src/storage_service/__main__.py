"""`python -m storage_service --config FILE`."""

import sys

from service_common.server import main

from storage_service.app import create_app
from storage_service.config import Settings

if __name__ == "__main__":
    sys.exit(main(Settings, create_app))

"""`python -m campaign_service --config FILE`."""

import sys

from service_common.reference.backend import ServiceSettings
from service_common.server import main

from campaign_service.app import create_app

if __name__ == "__main__":
    sys.exit(main(ServiceSettings, create_app))

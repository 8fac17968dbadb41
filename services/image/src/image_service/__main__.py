"""`python -m image_service --config FILE`."""

import gc
import sys

gc.disable()  # main() enables it: a restart is write outage, and a quarter of it was garbage collection of imports

from service_common.reference.backend import ServiceSettings  # noqa: E402
from service_common.server import main  # noqa: E402

from image_service.app import create_app  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(ServiceSettings, create_app))

"""moto's server, whose EC2 has none of the instance types left that a file names; runs in the hosts' network.

Usage: python ec2.py HOST PORT SOLD_OUT REFUSED; each refused launch adds a line to the file REFUSED: type and subnet.
"""

import io
import sys
from pathlib import Path
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

# As EC2 words it: error of the server, status 500.
ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>We currently do not have sufficient {type} \
capacity in the Availability Zone you requested. Our system will be working on provisioning additional capacity.\
</Message></Error></Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"""


class Ec2:
    """The application in front of moto's."""

    def __init__(self, sold_out, refused):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.sold_out, self.refused = sold_out, refused

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = {key: values[0] for key, values in parse_qs(body.decode("latin-1")).items()}
        kind = asked.get("InstanceType")
        if asked.get("Action") == "RunInstances" and kind in self._sold_out():
            with self.refused.open("a") as file:
                file.write(f"{kind} {asked['SubnetId']}\n")
            start_response("500 Internal Server Error", [("Content-Type", "text/xml;charset=UTF-8")])
            return [ERROR.format(type=kind).encode()]
        return self.moto(environ, start_response)

    def _sold_out(self):
        return self.sold_out.read_text().split() if self.sold_out.exists() else []


if __name__ == "__main__":
    host, port, *files = sys.argv[1:]
    run_simple(host, int(port), Ec2(*map(Path, files)), threaded=True, request_handler=MotoRequestHandler)

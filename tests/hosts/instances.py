"""Prints EC2's instances twice a second, one JSON list a line; runs beside the tests, in the network of the hosts."""

import json
import sys
import time

import boto3
from botocore.config import Config


def main(endpoint, region):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    patient = Config(read_timeout=600)  # moto answers slowly on a busy machine
    client = boto3.client("ec2", endpoint_url=endpoint, region_name=region, config=patient, **keys)
    while True:
        reservations = client.describe_instances()["Reservations"]
        found = [
            {
                "id": instance["InstanceId"],
                "state": instance["State"]["Name"],
                "ip": instance.get("PrivateIpAddress"),
                "type": instance["InstanceType"],
                "spot": instance.get("InstanceLifecycle") == "spot",
                "name": next((tag["Value"] for tag in instance["Tags"] if tag["Key"] == "ray-user-node-type"), None),
            }
            for reservation in reservations
            for instance in reservation["Instances"]
        ]
        print(json.dumps(found), flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])

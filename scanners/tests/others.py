"""Holds what scanners write against tools of others; run by src/others.rs.

usage: others.py reports FOLDER SCHEMAS | others.py attestations FOLDER
"""

import base64
import json
import pathlib
import sys
import xml.etree.ElementTree


def reports(folder, schemas):
    import jsonschema
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    problems = []
    schema = json.loads((schemas / "sarif.schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    for path in sorted(folder.iterdir()):
        text = path.read_text()
        if path.name.endswith(".sarif.json"):
            found = [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(json.loads(text))]
        elif path.name.endswith(".cyclonedx.json"):
            found = [str(one) for one in JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True) or []]
        elif path.name.endswith(".spdx.json"):
            found = [one.validation_message for one in validate_full_spdx_document(parse_file(str(path)))]
        elif path.name.endswith(".xml"):
            root = xml.etree.ElementTree.fromstring(text)
            counted = len(root.findall(".//testcase"))
            found = [] if int(root.get("tests")) == counted else [f"it has {counted} cases"]
        else:
            found = [f"nobody checks {path.name}"]
        problems += [f"{path.name}: {one}" for one in found]
    return problems


def attestations(folder):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_public_key((folder / "key.pub").read_bytes())
    private = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
    assert private.public_key() == key and isinstance(key.curve, ec.SECP256R1)
    digest = (folder / "digest").read_text()
    blobs = folder / "layout" / "blobs" / "sha256"

    def blob(descriptor):
        data = (blobs / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        algorithm = hashes.Hash(hashes.SHA256())
        algorithm.update(data)
        assert algorithm.finalize().hex() == descriptor["digest"].removeprefix("sha256:"), "the digest of a blob"
        assert len(data) == descriptor["size"], "the size of a blob"
        return data

    def predicate_type(envelope):
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"].encode()
        message = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
        for one in envelope["signatures"]:
            key.verify(base64.b64decode(one["sig"], validate=True), message, ec.ECDSA(hashes.SHA256()))
        try:
            key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message + b" ", ec.ECDSA(hashes.SHA256()))
            raise AssertionError("a changed payload is accepted")
        except InvalidSignature:
            pass
        statement = json.loads(payload)
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["subject"][0]["digest"]["sha256"] == digest.removeprefix("sha256:")
        return statement["predicateType"]

    index = json.loads((folder / "layout" / "index.json").read_text())
    by_tag = {one.get("annotations", {}).get("org.opencontainers.image.ref.name"): one for one in index["manifests"]}
    name = digest.replace(":", "-")
    manifest = json.loads(blob(by_tag[f"{name}.att"]))
    blob(manifest["config"])
    under_tag = sorted(predicate_type(json.loads(blob(layer))) for layer in manifest["layers"])
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
        assert layer["annotations"]["dev.cosignproject.cosign/signature"] == ""
    referrers = []
    for descriptor in json.loads(blob(by_tag[name]))["manifests"]:
        referrer = json.loads(blob(descriptor))
        assert referrer["subject"]["digest"] == digest
        bundle = json.loads(blob(referrer["layers"][0]))
        referrers.append(predicate_type(bundle["dsseEnvelope"]))
    assert under_tag == sorted(referrers) and len(under_tag) == 3, (under_tag, referrers)
    return []


def main():
    folder = pathlib.Path(sys.argv[2])
    problems = reports(folder, pathlib.Path(sys.argv[3])) if sys.argv[1] == "reports" else attestations(folder)
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())

"""The CRD is upgraded while AIApis exist."""

import yaml
from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="CRD upgraded with objects present",
    user="nothing",
    operator="The watches go on, or list again",
)


def test_the_crd_is_upgraded(steady: Steady, operator: FaultyOperator) -> None:
    source = next((operator.root / "crds").glob("*.yaml"))
    changed = yaml.safe_load(source.read_text())
    version = changed["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["newField"] = {"type": "string", "description": "A field of tomorrow."}
    apply = ("apply", "--server-side", "--force-conflicts", "-f")
    with steady.fault():
        steady.cluster.kubectl(*apply, "-", stdin=yaml.safe_dump(changed))
        described = steady.cluster.kubectl("explain", "aiapi.spec.newField")
        assert "A field of tomorrow." in described
        hold(10)
        steady.cluster.kubectl(*apply, str(source))

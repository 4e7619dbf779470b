"""Where the API serves a kind."""

from serin.clients.kubernetes.kinds import FINE_TUNES, PODS


def test_paths_of_the_core_group_and_of_others() -> None:
    assert PODS.path("ns", "p", "log") == "/api/v1/namespaces/ns/pods/p/log"
    assert FINE_TUNES.path("ns") == "/apis/serin.dev/v1alpha1/namespaces/ns/finetunes"


def test_a_name_cannot_reach_another_path() -> None:
    assert PODS.path("ns", "../secrets/s") == "/api/v1/namespaces/ns/pods/..%2Fsecrets%2Fs"

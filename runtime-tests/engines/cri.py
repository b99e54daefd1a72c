"""Calls an engine through CRI, the container runtime interface of Kubernetes.

    cri.py SOCKET MESSAGES SECONDS

Each line of standard input is a method and its request as JSON: RunPodSandbox {"config": ...}. Each
is answered by a line, a status and the reply as JSON: 0, or 1 and an error. MESSAGES is the
directory of what protoc makes of cri.proto; no call takes longer than SECONDS.
"""

import json, os, sys

os.environ["GRPC_VERBOSITY"] = "NONE"
socket, messages, patience = sys.argv[1:]
sys.path.insert(0, messages)

import grpc, cri_pb2 as cri
from google.protobuf import json_format

METHODS = {
    "Version": (cri.Id, cri.Version),
    "Status": (cri.Empty, cri.Status),
    "RuntimeConfig": (cri.Empty, cri.RuntimeConfig),
    "RunPodSandbox": (cri.RunPod, cri.Id),
    "StopPodSandbox": (cri.Id, cri.Empty),
    "RemovePodSandbox": (cri.Id, cri.Empty),
    "PodSandboxStatus": (cri.Verbose, cri.PodStatus),
    "ListPodSandbox": (cri.Empty, cri.PodList),
    "CreateContainer": (cri.CreateContainer, cri.Id),
    "StartContainer": (cri.Id, cri.Empty),
    "StopContainer": (cri.Stop, cri.Empty),
    "RemoveContainer": (cri.Id, cri.Empty),
    "ContainerStatus": (cri.Verbose, cri.ContainerStatus),
    "ListContainers": (cri.Empty, cri.Containers),
    "UpdateContainerResources": (cri.Update, cri.Empty),
    "ReopenContainerLog": (cri.Id, cri.Empty),
    "ExecSync": (cri.ExecSync, cri.Output),
    "Exec": (cri.Exec, cri.Url),
    "Attach": (cri.Attach, cri.Url),
    "PortForward": (cri.PortForward, cri.Url),
    "ContainerStats": (cri.Id, cri.ContainerStats),
    "ListContainerStats": (cri.Empty, cri.AllStats),
    "PodSandboxStats": (cri.Id, cri.PodStats),
}


def call(channel, method, text):
    request, reply = METHODS[method]
    remote = channel.unary_unary("/runtime.v1.RuntimeService/" + method, request.SerializeToString, reply.FromString)
    answer = remote(json_format.ParseDict(json.loads(text), request()), timeout=int(patience))
    return json.dumps(json_format.MessageToDict(answer, preserving_proto_field_name=True))


def main():
    with grpc.insecure_channel("unix://" + socket) as channel:
        for line in sys.stdin:
            method, _, text = line.partition(" ")
            try:
                print(0, call(channel, method, text), flush=True)
            except grpc.RpcError as error:
                print(1, error.code().name + ":", " ".join(error.details().split()), flush=True)


main()

// kube-network-policies beside the kubelet, as a process of the node: upstream's own main package runs in a pod only.
// It says of the first packet of each connection whether it may pass. It ends with its standard input, and so with
// whoever started it, however that one ends.
package main

import (
	"context"
	"flag"
	"io"
	"os"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of a user who may list pods, namespaces and network policies")
	node := flag.String("node", "", "whose pods are guarded")
	queue := flag.Int("queue", 100, "of netfilter's queues, the one with packets to judge")
	klog.InitFlags(nil)
	flag.Parse()
	if err := run(*kubeconfig, *node, *queue); err != nil {
		klog.ErrorS(err, "ended")
		os.Exit(1)
	}
}

func run(kubeconfig, node string, queue int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	go func() {
		defer end()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(
		client,
		factory.Networking().V1().NetworkPolicies(),
		factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(),
		// These are for AdminNetworkPolicies, which are not installed.
		nil, nil, nil, nil,
		// Should it be killed, its rules must not cut the pods off.
		networkpolicy.Config{NodeName: node, QueueID: queue, FailOpen: true},
	)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return controller.Run(ctx)
}

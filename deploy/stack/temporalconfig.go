package main

import (
	"io"
	"log/slog"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
)

// historyShards cannot change once a data folder exists. Four gave a third less latency than one on two cores.
const historyShards = 4

// silent swallows what the clients that probe the parts would say.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// temporalConfig describes one node that runs all services over one SQLite file.
func temporalConfig(database string, port int) (*config.Config, error) {
	internal, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	return &config.Config{
		Global:       config.Global{Membership: config.Membership{BroadcastAddress: "127.0.0.1"}},
		Persistence:  persistence(database),
		PublicClient: config.PublicClient{HostPort: loopback(port)},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        "active",
			CurrentClusterName:       "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: loopback(port)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(port),
			string(primitives.HistoryService):  service(internal[0]),
			string(primitives.MatchingService): service(internal[1]),
			string(primitives.WorkerService):   service(internal[2]),
		},
	}, nil
}

func service(port int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: "127.0.0.1"}}
}

// persistence is a file in write-ahead mode with a single connection: more of them collide as writers, and the server waits
// 50 ms after each collision. Without a sync on every commit a power cut may lose the last ones, a killed process none.
func persistence(database string) config.Persistence {
	return config.Persistence{
		DefaultStore:     sqlite.PluginName,
		VisibilityStore:  sqlite.PluginName,
		NumHistoryShards: historyShards,
		DataStores: map[string]config.DataStore{sqlite.PluginName: {SQL: &config.SQL{
			PluginName:   sqlite.PluginName,
			DatabaseName: database,
			MaxConns:     1,
			MaxIdleConns: 1,
			ConnectAttributes: map[string]string{
				"mode":         "rwc",
				"journal_mode": "wal",
				"synchronous":  "normal",
			},
		}}},
	}
}

// staticHosts names every service's only host, which spares the membership protocol and its delay at start.
func staticHosts(cfg *config.Config) map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range cfg.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(loopback(service.RPC.GRPCPort))
	}
	return hosts
}

// dynamicConfig lifts the caps that are meant for shared clusters. Here the engine shall be the limit: at the default poll
// rates every hop through matching waits about 50 ms.
func dynamicConfig() dynamicconfig.StaticClient {
	settings := dynamicconfig.StaticClient{
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():      1, // one node: exact fairness and rate limits, no forwarding
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():     1,
		dynamicconfig.MatchingEnableFairness.Key():                  true,
		dynamicconfig.EnableEagerWorkflowStart.Key():                true,
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():            8096,

		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key():        1000,
		dynamicconfig.FrontendMaxNamespaceVisibilityBurstRatioPerInstance.Key(): 1.0,
	}
	const unlimited = 100_000 // a second; far above what one machine reaches
	for _, key := range []dynamicconfig.Key{
		dynamicconfig.FrontendRPS.Key(),
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(),
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(),
		dynamicconfig.FrontendPersistenceMaxQPS.Key(),
		dynamicconfig.MatchingRPS.Key(),
		dynamicconfig.MatchingPersistenceMaxQPS.Key(),
		dynamicconfig.HistoryRPS.Key(),
		dynamicconfig.HistoryPersistenceMaxQPS.Key(),
	} {
		settings[key] = unlimited
	}
	const polls = 5000 // a second and shard
	for _, key := range []dynamicconfig.Key{
		dynamicconfig.TransferProcessorMaxPollRPS.Key(),
		dynamicconfig.TimerProcessorMaxPollRPS.Key(),
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(),
		dynamicconfig.OutboundProcessorMaxPollRPS.Key(),
	} {
		settings[key] = polls
	}
	return settings
}

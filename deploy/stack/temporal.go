package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenuto-dev/tenuto/schemas"
)

// retention is how long Temporal keeps closed workflows.
const retention = 7 * 24 * time.Hour

// temporalPart is the Temporal server in this process, over one SQLite file.
type temporalPart struct {
	dir, logFile string
	port         int

	server temporal.Server
	client client.Client
}

func (s *stack) temporal() part {
	return &temporalPart{
		dir:     filepath.Join(s.dir, "temporal"),
		logFile: filepath.Join(s.dir, "logs", "temporal.log"),
		port:    s.ports.Temporal,
	}
}

func (t *temporalPart) start(context.Context, func(error)) error {
	cfg, err := temporalConfig(filepath.Join(t.dir, "temporal.db"), t.port)
	if err != nil {
		return err
	}
	if err := prepareDatabase(t.dir, cfg); err != nil {
		return err
	}
	if t.server, err = newTemporalServer(cfg, t.logFile); err != nil {
		return err
	}
	if err := t.server.Start(); err != nil {
		return err
	}
	t.client, err = client.NewLazyClient(client.Options{
		HostPort:  loopback(t.port),
		Namespace: namespace,
		Logger:    sdklog.NewStructuredLogger(silent),
	})
	return err
}

func newTemporalServer(cfg *config.Config, logFile string) (temporal.Server, error) {
	authorizer, err := authorization.GetAuthorizerFromConfig(&cfg.Global.Authorization)
	if err != nil {
		return nil, err
	}
	logger := log.NewZapLogger(log.BuildZapLogger(log.Config{Level: "warn", OutputFile: logFile}))
	return temporal.NewServer(
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithConfig(cfg),
		temporal.WithStaticHosts(staticHosts(cfg)),
		temporal.WithDynamicConfigClient(dynamicConfig()),
		temporal.WithAuthorizer(authorizer),
		temporal.WithLogger(logger),
	)
}

// prepareDatabase makes the schema, where there is none yet, and the namespace. The server's authors give no migration for
// SQLite: a file of another server version has to be removed.
func prepareDatabase(dir string, cfg *config.Config) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sql := *cfg.Persistence.DataStores[sqlite.PluginName].SQL
	if _, err := os.Stat(sql.DatabaseName); errors.Is(err, os.ErrNotExist) {
		if err := makeSchema(sql); err != nil {
			return err
		}
	}
	described, err := schema.NewNamespaceConfig(cfg.ClusterMetadata.CurrentClusterName, namespace, false, searchAttributes())
	if err != nil {
		return err
	}
	described.Detail.Config.Retention = durationpb.New(retention)
	return schema.CreateNamespaces(&sql, described)
}

// makeSchema works on another name first: a file that is there is a file that is complete. It does so without write-ahead
// log, for the server's library never closes the file, and a log could not be renamed with it.
func makeSchema(sql config.SQL) error {
	path := sql.DatabaseName
	sql.DatabaseName += ".new"
	sql.ConnectAttributes = map[string]string{"mode": "rwc"}
	if err := os.RemoveAll(sql.DatabaseName); err != nil {
		return err
	}
	if err := schema.SetupSchema(&sql); err != nil {
		return fmt.Errorf("making Temporal's database: %w", err)
	}
	return os.Rename(sql.DatabaseName, path)
}

func searchAttributes() map[string]enumspb.IndexedValueType {
	attributes := map[string]enumspb.IndexedValueType{schemas.AttrDue: enumspb.INDEXED_VALUE_TYPE_DATETIME}
	for _, name := range schemas.KeywordAttributes() {
		attributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	return attributes
}

// ready asks for a workflow that does not exist: the answer comes from a history shard, the last to be up. Then it adds the
// search attributes that a folder of an older release lacks.
func (t *temporalPart) ready(ctx context.Context) error {
	_, err := t.client.DescribeWorkflowExecution(ctx, "tenuto-stack-ready", "")
	if notFound := new(serviceerror.NotFound); err != nil && !errors.As(err, &notFound) {
		return err
	}
	operator := t.client.OperatorService()
	known, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := searchAttributes()
	for name := range known.GetCustomAttributes() {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	return err
}

func (t *temporalPart) stop() error {
	t.client.Close()
	return t.server.Stop()
}

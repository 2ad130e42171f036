// Package telemetry sets up the logs of a process: structured, on stderr, with names and numbers but never with content.
package telemetry

import (
	"io"

	"go.temporal.io/sdk/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger returns a logger that writes JSON lines to w at the level (debug, info, warn, error); an unknown level is info.
func Logger(w io.Writer, level string) *zap.Logger {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		at = zapcore.InfoLevel
	}
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339TimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(zapcore.AddSync(w)), at))
}

// Temporal makes l serve as the Temporal SDK's logger.
func Temporal(l *zap.Logger) log.Logger { return adapter{l.WithOptions(zap.AddCallerSkip(1)).Sugar()} }

type adapter struct{ *zap.SugaredLogger }

func (a adapter) Debug(msg string, keyvals ...any) { a.Debugw(msg, keyvals...) }
func (a adapter) Info(msg string, keyvals ...any)  { a.Infow(msg, keyvals...) }
func (a adapter) Warn(msg string, keyvals ...any)  { a.Warnw(msg, keyvals...) }
func (a adapter) Error(msg string, keyvals ...any) { a.Errorw(msg, keyvals...) }
func (a adapter) With(keyvals ...any) log.Logger   { return adapter{a.SugaredLogger.With(keyvals...)} }

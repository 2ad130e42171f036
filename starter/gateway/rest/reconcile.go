package rest

import "time"

// NewReconciliation asks to compare the runs that ended within a window.
type NewReconciliation struct {
	From time.Time `json:"from" doc:"When the first of them ended."`
	To   time.Time `json:"to" doc:"When the last of them had ended."`
}

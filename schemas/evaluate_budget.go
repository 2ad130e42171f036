package schemas

// EvalShort says that a budget of the tenant, or of the key that pays, has no room for what an evaluation would ask next.
type EvalShort struct {
	Reason  string   `json:"reason"`             // which budget, how much of it is left, and when its window starts anew
	Need    Estimate `json:"need"`               // of the dearest call that had no room
	OpensMS int64    `json:"opens_ms,omitempty"` // when the window starts anew, Unix milliseconds; 0 where time changes nothing
}

// RoomRequest asks to wait until the budgets have room for a call of an evaluation.
type RoomRequest struct {
	Run  EvalRun  `json:"run"`
	Need Estimate `json:"need"`
}

// EvalRoom says that there is room.
type EvalRoom struct {
	AtMS int64 `json:"at_ms"` // Unix milliseconds
}

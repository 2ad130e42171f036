// Package limit decides when a call of a model provider may be sent, so that providers are used as far as they allow and refuse nothing.
//
// A Limiter stands before one provider. A call asks for a Grant, is made, and hands the grant back with what came of it.
//
// Pace. Limits a minute are kept by token buckets (requests, and tokens of models) whose burst B and rate leave room for each other:
// a bucket passes at most B + 60·rate in any 60 seconds, so with rate = (R+1−B)/61 a whole number of requests stays at R or below in
// every window, wherever it begins, even if the network delays some by a second. Providers that count in fixed windows, in sliding
// ones and by the generic cell rate algorithm (ITU-T I.371) all see that. The burst beyond one belongs to interactive calls: batch
// calls take only what lies above it, so they go out evenly and use the rate they would have without it, 91 to 98 percent of R, and
// an interactive call that arrives behind hundreds of them still goes at once. A provider that refuses all the same halves that burst for
// ten minutes.
//
// Concurrency follows additive increase and multiplicative decrease (Chiu and Jain, Analysis of the Increase and Decrease Algorithms for
// Congestion Avoidance, 1989), doubling a round trip until the first sign of overload, and decreasing at most once a round trip.
//
// Order. Interactive calls go before batch calls. Within a class tenants share by tokens (start-time fair queueing: Goyal, Vin and
// Cheng, 1996), and the calls of one tenant go in the order of their arrival.
//
// Breaker. A target that keeps failing is not called for a while, then one call tries it. That also covers a target without any
// alternative: its callers learn at once when to come back.
package limit

package chain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/tenuto-dev/tenuto/activities/internal/route"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// ask has a model of the step answer.
func (c *conversation) ask(ctx context.Context, reask int) (model.Response, error) {
	request, err := c.request(c.s.in.Turn+1 >= c.maxTurns())
	if err != nil {
		return model.Response{}, err
	}
	return c.route(ctx, c.modelName(), request, fmt.Sprint(reask))
}

func (c *conversation) modelName() string {
	if name := c.s.def.Generate.Model; name != "" {
		return name
	}
	return c.prompt.Model
}

// plainRequest is a request without tools and budgets.
func (c *conversation) plainRequest() (model.Request, error) {
	plain := *c
	plain.s = &stepping{a: c.s.a, in: c.s.in, bundle: c.s.bundle, def: schemas.StepDef{Generate: &schemas.GenerateDef{}}}
	return plain.request(false)
}

// route asks the model of that name, or the targets of the route of that name, one after the other, until one answers well enough.
func (c *conversation) route(ctx context.Context, name string, request model.Request, what string) (model.Response, error) {
	if name == "" {
		return model.Response{}, schemas.Errorf(schemas.Invalid, "step %s names no model, nor does its prompt", c.s.in.Step)
	}
	def, ok := c.s.bundle.Models.Routes[name]
	if !ok {
		target, err := c.s.a.Fleet.Target(c.s.bundle.Models, name)
		if err != nil {
			return model.Response{}, err
		}
		return c.one(ctx, target, request, c.s.attempt(what))
	}
	r, err := c.compile(name, def)
	if err != nil {
		return model.Response{}, err
	}
	in := route.Input{Tenant: c.s.in.Tenant, Chain: c.s.in.Chain}
	in.Input, _ = c.input.(map[string]any)
	plan, err := route.Plan(r, in, c.s.in.RunID+c.s.in.Path+c.s.in.Step)
	if err != nil {
		return model.Response{}, err
	}
	return c.along(ctx, r, plan, in, request, what)
}

// along tries the attempts of a plan.
func (c *conversation) along(
	ctx context.Context, r route.Route, plan []route.Attempt, in route.Input, request model.Request, what string,
) (model.Response, error) {
	var tried []route.Tried
	var answers []model.Response
	var failures []error
	for {
		next, ok := route.Next(r, plan, tried)
		if !ok {
			last := route.Final(r, tried)
			return answers[last], failures[last]
		}
		target, err := c.s.a.Fleet.Target(c.s.bundle.Models, next.Model)
		var resp model.Response
		if err == nil {
			resp, err = c.one(ctx, target, request, c.s.attempt(fmt.Sprintf("%s.%d", what, next.Target)))
			if err == nil {
				err = c.refusal(resp)
			}
		} else {
			c.s.detail.Calls = append(c.s.detail.Calls, schemas.CallDetail{
				Purpose: c.purpose, Model: next.Model, Failure: &schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)},
			})
		}
		if ctx.Err() != nil {
			return resp, err
		}
		outcome := route.Tried{Attempt: next}
		if err != nil {
			if _, asks := errors.AsType[*askError](err); asks || errors.Is(err, errTold) {
				return resp, err
			}
			outcome.Code, outcome.TooLong = schemas.CodeOf(err), model.IsContextTooLong(err)
		} else if outcome.Escalated, err = route.Escalates(r, next, in, outputOf(resp)); err != nil {
			return resp, err
		}
		tried, answers, failures = append(tried, outcome), append(answers, resp), append(failures, err)
	}
}

// outputOf is what a route's check sees of a response.
func outputOf(resp model.Response) route.Output {
	output := map[string]any{"text": resp.Text}
	if value, err := decode([]byte(resp.Text)); err == nil {
		if object, ok := value.(map[string]any); ok {
			maps.Copy(output, object)
			output["json"] = value
		}
	}
	return route.Output{Output: output, Finish: resp.Finish}
}

// compile makes the route of its definition.
func (c *conversation) compile(name string, def schemas.RouteDef) (route.Route, error) {
	r := route.Route{Name: name, Refusals: def.Refusals}
	var escalate route.Condition
	if def.Escalate != "" {
		program, err := c.s.a.programs.Compile(def.Escalate, route.EscalateNames())
		if err != nil {
			return r, err
		}
		escalate = program.Test
	}
	for i, t := range def.Targets {
		target := route.Target{Model: t.Model, Weight: int(math.Round(t.Weight * 1000)), Context: c.s.bundle.Models.Models[t.Model].Context}
		if t.When != "" {
			program, err := c.s.a.programs.Compile(t.When, route.WhenNames())
			if err != nil {
				return r, err
			}
			target.When = program.Test
		}
		if i < len(def.Targets)-1 {
			target.Escalate = escalate
		}
		r.Targets = append(r.Targets, target)
	}
	return r, r.Check()
}

// one asks one model. A server that knows no output schemas is asked without, and what it says is checked all the same.
func (c *conversation) one(ctx context.Context, target fleet.Target, request model.Request, attempt string) (model.Response, error) {
	request.Model = target.Model
	if target.Def.MaxOutput > 0 {
		request.MaxTokens = min(request.MaxTokens, target.Def.MaxOutput)
	}
	if request.Schema != nil && target.Plain() {
		request.Schema, request.SchemaName = nil, ""
	}
	resp, err := c.call(ctx, target, request, attempt)
	if request.Schema != nil && model.IsSchemaUnsupported(err) {
		target.SetPlain()
		request.Schema, request.SchemaName = nil, ""
		return c.call(ctx, target, request, attempt)
	}
	return resp, err
}

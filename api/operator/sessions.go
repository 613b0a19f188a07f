package operator

import (
	_ "embed"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/api"
	"example.com/orderly/internal/operators"
)

type sessionBody struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (p *port) login(c *gin.Context, _ login) error {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := api.Decode(c, &body); err != nil {
		return err
	}
	var token string
	var session operators.Session
	if err := p.edge.PassLogin(c, "operator", body.Email, func() (err error) {
		token, session, err = p.operators.Login(c.Request.Context(), body.Email, body.Password)
		return err
	}); err != nil {
		return err
	}
	next := "second_factor"
	if !session.Operator.Enrolled {
		next = "enrolment"
	}
	return api.Answer(c, http.StatusCreated, struct {
		sessionBody
		Next string `json:"next"`
	}{sessionBody{token, session.ExpiresAt}, next})
}

func (p *port) secondFactor(c *gin.Context, who login) error {
	var body struct {
		Code string `json:"code"`
	}
	if err := api.Decode(c, &body); err != nil {
		return err
	}
	token, session, err := p.operators.SecondFactor(c.Request.Context(), who.token, body.Code)
	if err != nil {
		return err
	}
	return api.Answer(c, http.StatusOK, sessionBody{token, session.ExpiresAt})
}

func (p *port) logout(c *gin.Context, who login) error {
	if err := p.operators.Logout(c.Request.Context(), who.token); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (p *port) beginEnrolment(c *gin.Context, who login) error {
	made, err := p.operators.BeginEnrolment(c.Request.Context(), who.token)
	if err != nil {
		return err
	}
	return api.Answer(c, http.StatusCreated, struct {
		Secret string `json:"secret"`
		URI    string `json:"uri"`
	}{made.Secret, made.URI})
}

func (p *port) enrol(c *gin.Context, who login) error {
	var body struct {
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	if err := api.Decode(c, &body); err != nil {
		return err
	}
	done, err := p.operators.Enrol(c.Request.Context(), who.token, body.Password, body.Code)
	if err != nil {
		return err
	}
	return api.Answer(c, http.StatusOK, struct {
		sessionBody
		RecoveryCodes []string `json:"recovery_codes"`
	}{sessionBody{done.Token, done.Session.ExpiresAt}, done.RecoveryCodes})
}

//go:embed openapi.yaml
var document []byte

func (p *port) problemPage(c *gin.Context, _ login) error { return p.edge.ProblemPage(c) }

func (p *port) openapi(c *gin.Context, _ login) error { return api.Document(c, document) }

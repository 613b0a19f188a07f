package operator

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/api"
	"example.com/orderly/internal/operators"
)

type operatorBody struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Enrolled  bool      `json:"enrolled"`
	CreatedAt time.Time `json:"created_at"`
}

func bodyOf(o operators.Operator) operatorBody {
	return operatorBody{ID: o.ID, Email: o.Email, Name: o.Name, Role: string(o.Role), Enrolled: o.Enrolled, CreatedAt: o.CreatedAt}
}

func (p *port) me(c *gin.Context, who login) error {
	left, err := p.operators.RecoveryCodesLeft(c.Request.Context(), who.session.Operator.ID)
	if err != nil {
		return err
	}
	return api.Answer(c, http.StatusOK, struct {
		operatorBody
		RecoveryCodesLeft int64     `json:"recovery_codes_left"`
		SessionExpiresAt  time.Time `json:"session_expires_at"`
	}{bodyOf(who.session.Operator), left, who.session.ExpiresAt})
}

func (p *port) list(c *gin.Context, _ login) error {
	found, err := p.operators.List(c.Request.Context())
	if err != nil {
		return err
	}
	all := make([]operatorBody, len(found))
	for i, o := range found {
		all[i] = bodyOf(o)
	}
	return api.Answer(c, http.StatusOK, struct {
		Operators []operatorBody `json:"operators"`
	}{all})
}

func (p *port) remove(c *gin.Context, who login) error {
	if _, err := p.operators.Remove(c.Request.Context(), who.session.Operator.Actor(), c.Param("id"), "", false); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

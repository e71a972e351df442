"""The catalogue of vulnerabilities known to be exploited, in the form in which CISA publishes it."""

from datetime import date

from pydantic import BaseModel, Field

from actions.intelligence import Exploited


class Vulnerability(BaseModel):
    """One entry as it is published."""

    cve: str = Field(alias="cveID")
    name: str = Field(alias="vulnerabilityName")
    vendor: str = Field(alias="vendorProject")
    product: str
    added_on: date = Field(alias="dateAdded")
    ransom: str = Field("Unknown", alias="knownRansomwareCampaignUse")

    @property
    def exploited(self) -> Exploited:
        """This entry as the team knows it."""
        return Exploited(
            cve=self.cve,
            name=self.name,
            vendor=self.vendor,
            product=self.product,
            added_on=self.added_on,
            for_ransom=self.ransom == "Known",
        )


class Vulnerabilities(BaseModel):
    """The whole catalogue."""

    vulnerabilities: list[Vulnerability]

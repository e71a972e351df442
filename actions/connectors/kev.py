"""A catalogue of vulnerabilities that are known to be exploited, in the form in which CISA publishes one."""

from datetime import date

from pydantic import BaseModel, Field

from actions.intelligence import Exploited


class Entry(BaseModel):
    """One vulnerability of the catalogue."""

    cve: str = Field(alias="cveID")
    name: str = Field(alias="vulnerabilityName")
    vendor: str = Field(alias="vendorProject")
    product: str
    added_on: date = Field(alias="dateAdded")
    ransom: str = Field("Unknown", alias="knownRansomwareCampaignUse")

    def exploited(self) -> Exploited:
        """The same as a trusted record."""
        return Exploited(
            cve=self.cve,
            name=self.name,
            vendor=self.vendor,
            product=self.product,
            added_on=self.added_on,
            for_ransom=self.ransom == "Known",
        )


class KevCatalogue(BaseModel):
    """All of them."""

    vulnerabilities: list[Entry]
